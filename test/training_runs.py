"""`alpamayo train` in processes of its own: one, or several under torchrun; ended by itself, or killed."""

import os
import signal
import subprocess
import sys
import time

MAIN = "from alpamayo_ros.cli import main; main()"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--no-python")


def train_command(stage, recipe, model, data, output):
    options = {"--recipe": recipe, "--model": model, "--data": data, "--output": output}
    return ["train", stage, *(str(part) for pair in options.items() for part in pair)]


def start(arguments, processes=1):
    launcher = (*TORCHRUN, "--nproc-per-node", str(processes), sys.executable) if processes > 1 else ()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, *launcher, "-c", MAIN, *arguments], env=environment, start_new_session=True
    )


def run(arguments, processes=1):
    """The exit code."""
    return start(arguments, processes).wait()


def kill_after_first_state(arguments, output):
    """End a run by force as soon as it has written its first state."""
    process = start(arguments)
    until = time.monotonic() + 120
    while not list(output.glob("training/step-*")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
