# The first patches of the series; ci/sweep/ has what they are generated from.
export SRC OUT NAMES
.PHONY: sweep sweep-check sweep-objects gate-test bpf

sweep: ## generate the accessor patches from a pristine TREE into OUT
	$(verb) scripts/sweep.py

sweep-check: ## compare patches/ with what sweep generates
	$(verb) scripts/sweep.py --check

sweep-objects: ## compile what the sweep touches before and after, and compare (NAMES="arm64-clang ...")
	$(verb) scripts/sweep_objects.py $(NAMES)

gate-test: ## show that raw task->pid does not compile
	$(verb) scripts/gate-test.sh

bpf: ## a BPF program reads task->pid by name, in a guest
	$(verb) scripts/bpf.sh
