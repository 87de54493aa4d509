# What developers run; `just` lists it.
default:
    @just --list

# Install what building needs (Debian, Ubuntu).
setup:
    tools/setup.sh

# Build and run the main job on the bundled clip.
demo:
    tools/demo.sh

# All tests that need no GPU.
test *args:
    tools/test.sh {{args}}

# What runs on an NVIDIA GPU against the CPU: kernels, models, graphs, times. Arguments choose groups.
test-gpu *args:
    cargo test --release --features cuda --test gpu -- {{args}}

# Everything that needs an NVIDIA GPU in one call: builds, checks, times beside PyTorch, audits, soaks. Arguments choose steps.
gpu *steps:
    tools/gpu.sh {{steps}}

# Faults planted into a loop on an NVIDIA GPU, which the audit must find. Arguments choose cases.
test-gpu-audit *args:
    cargo test --release --features cuda --test gpu_audit -- {{args}}

# Format, lints, tests, CUDA compile: what must pass before a change lands.
ci:
    .ci/run

# Format the code.
fmt:
    cargo fmt

# Time the CPU path.
bench *args:
    cargo run --release -- bench {{args}}
