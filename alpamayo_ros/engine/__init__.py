"""Running the network of `vla` fast and exactly: `Engine` is the way in, `Switches` says what it does for speed."""
