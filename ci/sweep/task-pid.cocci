// SPDX-License-Identifier: GPL-2.0-only
/// Read the pid and tgid of a task through task_pid_nr() and task_tgid_nr().
///
// Confidence: High
// Options: --recursive-includes --include-headers-for-types

virtual patch
virtual report

@typed depends on patch@
struct task_struct *t;
expression e;
@@
(
  t->pid = e
|
  t->tgid = e
|
  WRITE_ONCE(t->pid, e)
|
  WRITE_ONCE(t->tgid, e)
|
- t->pid
+ task_pid_nr(t)
|
- t->tgid
+ task_tgid_nr(t)
)

// current is a macro on most architectures: spatch cannot type it
@untyped depends on patch@
@@
(
- current->pid
+ task_pid_nr(current)
|
- current->tgid
+ task_tgid_nr(current)
)

@found depends on report@
struct task_struct *t;
struct task_struct s;
position p;
@@
(
  t->pid@p
|
  t->tgid@p
|
  s.pid@p
|
  s.tgid@p
|
  current->pid@p
|
  current->tgid@p
)

@script:python depends on report@
p << found.p;
@@
coccilib.report.print_report(p[0], "raw access to a task's pid, use task_pid_nr() or task_tgid_nr()")
