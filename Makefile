# pidspace: one verb, one thing. Everything made goes to $XDG_CACHE_HOME/pidspace
# (~/.cache/pidspace); the scripts are in scripts/, what they need in ci/.
#
# TREE=DIR   a 7.3 tree of your own (directory, git checkout or tarball) instead
#            of Debian's; it is copied, never touched
# WORK=DIR   the git work tree for work and refresh
# ARGS=GLOB  kselftest: the programs to run; programs: the tests; rfc: a part or section
# JOBS=N     parallel compile jobs, all processors by default

export TREE WORK ARGS JOBS
verb = @scripts/verb.sh $@

.PHONY: help run test tree build image shell kunit kselftest mutate programs demo-criu criu-cases criu-costs leaks same docs each-patch options lint work refresh rfc clean

help: ## this text
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 15

run: ## set up, build, boot in QEMU and show what the series does
	$(verb) scripts/job.sh demo

test: ## everything CI runs
	$(verb) scripts/test.sh

tree: ## fetch a 7.3 tree and apply the series with quilt
	$(verb) scripts/tree.sh

build: ## build the kernel
	$(verb) scripts/build.sh base

image: ## build the kernel; print the path of the bzImage and nothing else
	$(verb) scripts/build.sh base

shell: ## an interactive shell in the booted guest
	$(verb) scripts/job.sh shell

kunit: ## the in-kernel unit tests
	$(verb) scripts/job.sh kunit

kselftest: ## the system call tests, in the guest
	$(verb) scripts/job.sh kselftest base --timeout 1200

mutate: ## take lines out of the kernel part and see kselftests fail (ARGS=BATCH)
	$(verb) scripts/mutate.py $(ARGS)

programs: ## real programs in a container, in a guest of Debian packages
	$(verb) scripts/debian.sh programs

demo-criu: ## checkpoint in one container, restart in others, with Debian's criu
	$(verb) scripts/demo-criu.sh

criu-cases: ## what criu brings back in a container and in a pid namespace
	$(verb) scripts/debian.sh criu-cases --memory 2G

criu-costs: ## what dump and restore cost in a container, in a pid namespace, and the ratio
	$(verb) env ARGS=costs scripts/debian.sh criu-cases --memory 2G --icount --timeout 3000

leaks: ## the tests of what is sent ahead, on a kernel that has all that they look at
	@ARGS='leak*' scripts/verb.sh $@ scripts/job.sh kselftest leaks --timeout 1200 --append numa=fake=2

same: ## mainline's selftests: as on the pristine kernel, and in a container as in a pid namespace
	$(verb) scripts/same.sh

docs: ## the pages, kernel-doc, rustdoc and man page that the series adds: built without warnings
	$(verb) scripts/docs.sh

each-patch: ## every patch builds on its own: what it touches, by clang and gcc with W=1 (ARGS=PATTERN)
	$(verb) scripts/each_patch.py $(ARGS)

options: ## what the series touches builds without a warning in each configuration of ci/options (ARGS=PATTERN)
	$(verb) scripts/options.py $(ARGS)

lint: ## static checks: series, patches, Rust copies, style
	$(verb) scripts/lint.sh

work: ## a git work tree with one commit a patch
	$(verb) scripts/work.sh

refresh: ## regenerate patches/, series and rust/ from the work tree
	$(verb) scripts/refresh.sh

rfc: ## the series as mail, signed off by you, with a cover letter to fill in (ARGS=ahead|tests or a word of a section's heading: that)
	$(verb) scripts/rfc.sh

-include scripts/sweep.mk

clean: ## remove the trees and builds; downloads, tools and ccache stay
	$(verb) scripts/clean.sh
