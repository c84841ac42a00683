/*
 * short-writes PROGRAM ARGUMENT ...
 *
 * Runs a program whose writes to regular files are short, as a system may make them at any time: of every pwrite64 but the
 * smallest, half of what was asked for reaches the file. It traces the program, since not every runtime calls the C library for
 * it. At the end it says on stderr how many writes it has cut.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a stop at a system call, with PTRACE_O_TRACESYSGOOD. */
#define SYSCALL_STOP (SIGTRAP | 0x80)

#define LENGTH offsetof(struct user_regs_struct, rdx)

static long cut;

/* A thread stands at the begin or at the end of a system call. */
static void shorten(pid_t thread) {
  struct ptrace_syscall_info call;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) <= 0) return;
  if (call.op != PTRACE_SYSCALL_INFO_ENTRY || call.entry.nr != SYS_pwrite64 || call.entry.args[2] < 2) return;
  if (ptrace(PTRACE_POKEUSER, thread, LENGTH, call.entry.args[2] / 2) == 0) cut++;
}

int main(int count, char **arguments) {
  if (count < 2) return 2;
  pid_t program = fork();
  if (program == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    execvp(arguments[1], arguments + 1);
    perror(arguments[1]);
    _exit(127);
  }
  int status;
  waitpid(program, &status, 0);
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, program, 0, options) != 0) {
    perror("ptrace");
    return 126;
  }
  ptrace(PTRACE_SYSCALL, program, 0, 0);
  for (;;) {
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) return errno == ECHILD ? 0 : 1;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread != program) continue;
      fprintf(stderr, "short-writes: %ld were cut\n", cut);
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    int stop = WSTOPSIG(status);
    int signal = 0;
    if (stop == SYSCALL_STOP) shorten(thread);
    /* New threads begin with a SIGSTOP, and events of the tracer are SIGTRAPs. */
    else if (stop != SIGTRAP && stop != SIGSTOP) signal = stop;
    ptrace(PTRACE_SYSCALL, thread, 0, signal);
  }
}
