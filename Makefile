# Two commands: `make demo` does the main job on a fresh machine, `make test` checks everything.
# Compiled code is kept outside the clone, so that another clone starts warm.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/auricle/target
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: demo test lint bench

demo:
	.ci/setup build demo
	cargo build --release --locked
	$(CARGO_TARGET_DIR)/release/auricle demo

lint:
	.ci/setup build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features cloud --locked -- -D warnings
	cargo clippy -p auricle --no-default-features --features mic --lib --bins --locked -- -D warnings

test: lint
	.ci/setup build demo vulkan live postgres deploy buckets
	. .ci/vulkan && cargo test --workspace --features cloud --locked
	cargo build -p auricle --bin kws-infer --no-default-features --features mic --locked

bench:
	.ci/setup build
	cargo bench --workspace --benches --locked
