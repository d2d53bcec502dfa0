#!/bin/bash
# gate-test.sh: show that raw access to a task's pid or tgid does not compile, in
# every form, and that the accessors do; with clang and with gcc, and in Rust.
# SRC=DIR takes that kernel tree instead of the prepared one, OUT=DIR says where it
# has been built already.
. "$(dirname "$0")/lib.sh"

[[ -n ${SRC:-} ]] || "$root/scripts/tree.sh"
src=${SRC:-$tree}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

ok() {
	passed=$((passed + 1))
	echo "  ok      $1"
}

skip() {
	skipped=$((skipped + 1))
	echo "  skipped $1"
}

not_ok() { # DESCRIPTION
	failed=$((failed + 1))
	echo "  FAILED  $1"
	[[ ! -s $work/log ]] || tail -n 15 "$work/log" | sed 's/^/          /'
}

c() { # NAME BODY
	printf '#include <linux/sched.h>\n#include <linux/pid.h>\n%s\n' "$2" > "$work/$1.c"
}

c accessor 'pid_t f(const struct task_struct *t);
pid_t f(const struct task_struct *t) { return task_pid_nr(t) + task_tgid_nr(t); }'
c pid 'pid_t f(struct task_struct *t);
pid_t f(struct task_struct *t) { return t->pid; }'
c tgid 'pid_t f(void);
pid_t f(void) { return current->tgid; }'
c write 'void f(struct task_struct *t);
void f(struct task_struct *t) { t->pid = 1; }'
c address 'pid_t *f(struct task_struct *t);
pid_t *f(struct task_struct *t) { return &t->pid; }'
c macro '#define PID_OF(t) ((t)->pid)
pid_t f(void);
pid_t f(void) { return PID_OF(current); }'
cat > "$work/inline.h" <<'END'
static inline pid_t pid_of(struct task_struct *t)
{
	return t->pid;
}
END
c inline '#include "inline.h"'
c initializer 'extern struct task_struct t;
struct task_struct t = { .pid = 1 };'
c container_of 'struct task_struct *f(pid_t *p);
struct task_struct *f(pid_t *p) { return container_of(p, struct task_struct, pid); }'
c offsetof 'size_t f(void);
size_t f(void) { return offsetof(struct task_struct, pid); }'
cat > "$work/rust_accessor.rs" <<'END'
// SPDX-License-Identifier: GPL-2.0
//! Through the abstraction.
use kernel::task::Task;
/// The pid.
pub fn f(task: &Task) -> i32 {
    task.pid() + task.tgid()
}
END
cat > "$work/rust_field.rs" <<'END'
// SPDX-License-Identifier: GPL-2.0
//! Through the binding.
use kernel::task::Task;
/// The pid.
pub fn f(task: &Task) -> i32 {
    // SAFETY: A task is valid.
    unsafe { (*task.as_ptr()).pid }
}
END
printf 'obj-m += %s\n' {accessor,pid,tgid,write,address,macro,inline,initializer,container_of,offsetof,rust_accessor,rust_field}.o > "$work/Kbuild"

# compile OUT NAME: log in $work/log
compile() {
	rm -f "$work/$2.o"
	"${make[@]}" M="$work" "$2.o" >"$work/log" 2>&1
}

accepted() { # OUT NAME DESCRIPTION
	if compile "$1" "$2"; then ok "$3 compiles"; else not_ok "$3 compiles"; fi
}

refused() { # OUT NAME PATTERN DESCRIPTION
	if compile "$1" "$2"; then
		not_ok "$4 does not compile"
	elif ! grep -qE "$3" "$work/log"; then
		not_ok "$4 does not compile, and for that reason"
	else
		ok "$4 does not compile: $(grep -oE "$3.*" "$work/log" | head -n 1)"
	fi
}

test_compiler() { # LABEL OUT
	local label=$1 out=$2 name
	local unavailable="error: [^ ]*(pid|tgid)[^ ]* is unavailable"
	accepted "$out" accessor "$label: task_pid_nr(const task)"
	for name in pid tgid write address macro inline initializer container_of offsetof; do
		# Neither compiler looks at every way to name a member; the other one does.
		case $label,$name in
		clang*,offsetof | gcc*,initializer)
			if compile "$out" "$name"; then
				skip "$label: $name: this compiler does not diagnose it"
				continue
			fi ;;
		esac
		refused "$out" "$name" "$unavailable" "$label: $name"
	done
}

# clang, with Rust: what prepare makes is what the build of base needs anyway.
prepare() {
	LAX=1 "$root/scripts/config.sh" "$src" "$out" base
	build_objects "$src" "$out" "$cache/log/gate-clang.log" prepare
}
if [[ -n ${SRC:-} && -n ${OUT:-} ]]; then
	out=$OUT
else
	out=$builds/base
	[[ -z ${SRC:-} ]] || out=$cache/build/gate-clang
	with_lock "build-${place##*/}-base" prepare
fi
make=(make -C "$src" O="$out" ARCH=x86_64 LLVM="-$llvm" RUSTC=/usr/bin/rustc
	BINDGEN="$cache/bindgen/bin/bindgen")
test_compiler "clang $llvm" "$out"
if grep -q '^CONFIG_RUST=y' "$out/.config"; then
	accepted "$out" rust_accessor 'Rust: Task::pid()'
	refused "$out" rust_field 'error\[E[0-9]+\]: no field .pid. on type' 'Rust: the field'
else
	: > "$work/log"
	not_ok "Rust: CONFIG_RUST is on in $out"
fi

# gcc
gcc=gcc
version=$($gcc -dumpversion | cut -d. -f1)
if ((version < 12)); then
	skip "gcc $version: no unavailable attribute before gcc 12"
else
	out=$cache/build/gate-gcc
	make=(make -C "$src" O="$out" ARCH=x86_64 CC="$gcc")
	mkdir -p "$out"
	say "preparing $out"
	{ "${make[@]}" allnoconfig && "${make[@]}" -j"$jobs" prepare; } >"$cache/log/gate-gcc.log" 2>&1 ||
		{ tail -n 12 "$cache/log/gate-gcc.log" >&2; die "make prepare with gcc fails"; }
	test_compiler "gcc $version" "$out"
fi

echo "$passed passed, $failed failed$( ((!skipped)) || echo ", $skipped skipped")"
((!failed))
