"""The built-in world: roads, road users, scenarios, cameras, the expert driver, scoring."""
