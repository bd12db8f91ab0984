/* The words that the runner's seccomp filters are written in. */
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#define FILTER_ARCH_32 AUDIT_ARCH_I386
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#define FILTER_ARCH_32 AUDIT_ARCH_ARM
#else
#error "say here what this architecture calls itself"
#endif

/* x32 has the same calls with this bit; on arm64 no call has it. */
#define FILTER_OTHER_ABI 0x40000000U

#define FILTER_LOAD(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define FILTER_JUMP_IF(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define FILTER_JUMP_IF_ANY(bits, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no)
#define FILTER_MASK(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)
#define FILTER_RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define FILTER_REFUSE(error) FILTER_RETURN(SECCOMP_RET_ERRNO | (error))
