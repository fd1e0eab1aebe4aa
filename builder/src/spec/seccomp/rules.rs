//! Which system calls a container may make, as data: the allow list that is the field's default.
//!
//! Source: the default profile of the Moby project (`moby/profiles`, `seccomp/default.json`), which containerd and
//! Podman follow. What is not listed here fails with EPERM. Kernels before 4.8 are no concern.

/// When a rule holds.
pub(super) enum When {
    /// Always.
    Always,
    /// On these architectures, in Go's words.
    On(&'static [&'static str]),
    /// With this capability.
    With(&'static str),
    /// Without this capability, and not on this architecture.
    Without(&'static str, &'static str),
    /// Without this capability, and only on this architecture.
    WithoutOn(&'static str, &'static str),
}

/// What an argument is compared with.
pub(super) struct Argument {
    /// Its place, from 0.
    pub(super) index: u32,
    /// With what.
    pub(super) value: u64,
    /// Of the masked argument, what it must be.
    pub(super) masked: Option<u64>,
    /// How, in the OCI specification's word.
    pub(super) operator: &'static str,
}

/// Calls that are allowed, separated by blanks, and when.
pub(super) const ALLOWED: &[(When, &str)] = &[
    (
        When::Always,
        "\
            _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir \
            chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
            clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range \
            creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 \
            epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 \
            fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 \
            fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat \
            fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 \
            futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd \
            getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 \
            getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 \
            getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday \
            getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 \
            inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup \
            io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset \
            landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr \
            listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack \
            membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall \
            mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 \
            mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync \
            munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause \
            pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll \
            ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv \
            process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead \
            readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages \
            removexattr removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq \
            rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend \
            rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max \
            sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
            sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr \
            sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop \
            semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list \
            set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 \
            setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 \
            setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr \
            setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask \
            sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink \
            symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete \
            timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
            timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate \
            truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 \
            utimes vfork vmsplice wait4 waitid waitpid write writev",
    ),
    (When::On(&["ppc64le"]), "swapcontext sync_file_range2"),
    (
        When::On(&["arm64"]),
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ),
    (When::On(&["amd64"]), "arch_prctl"),
    (When::On(&["amd64"]), "modify_ldt"),
    (When::On(&["s390x"]), "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    (When::On(&["riscv64"]), "riscv_flush_icache"),
    (When::With("CAP_DAC_READ_SEARCH"), "open_by_handle_at"),
    (
        When::With("CAP_SYS_ADMIN"),
        "\
            bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
            lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open \
            quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (When::With("CAP_SYS_BOOT"), "reboot"),
    (When::With("CAP_SYS_CHROOT"), "chroot"),
    (When::With("CAP_SYS_MODULE"), "delete_module finit_module init_module"),
    (When::With("CAP_SYS_PACCT"), "acct"),
    (
        When::With("CAP_SYS_PTRACE"),
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    (When::With("CAP_SYS_RAWIO"), "ioperm iopl"),
    (When::With("CAP_SYS_TIME"), "clock_settime clock_settime64 settimeofday stime"),
    (When::With("CAP_SYS_TTY_CONFIG"), "vhangup"),
    (When::With("CAP_SYS_NICE"), "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (When::With("CAP_SYSLOG"), "syslog"),
    (When::With("CAP_BPF"), "bpf"),
    (When::With("CAP_PERFMON"), "perf_event_open"),
];

/// Calls that are allowed with certain arguments: a call, when, and the one comparison that must hold.
pub(super) const COMPARED: &[(&str, When, Argument)] = &[
    ("socket", When::Always, Argument { index: 0, value: 38, masked: None, operator: "SCMP_CMP_LT" }),
    ("socket", When::Always, Argument { index: 0, value: 39, masked: None, operator: "SCMP_CMP_EQ" }),
    ("socket", When::Always, Argument { index: 0, value: 40, masked: None, operator: "SCMP_CMP_GT" }),
    ("personality", When::Always, Argument { index: 0, value: 0x0, masked: None, operator: "SCMP_CMP_EQ" }),
    ("personality", When::Always, Argument { index: 0, value: 0x8, masked: None, operator: "SCMP_CMP_EQ" }),
    (
        "personality",
        When::Always,
        Argument { index: 0, value: 0x20000, masked: None, operator: "SCMP_CMP_EQ" },
    ),
    (
        "personality",
        When::Always,
        Argument { index: 0, value: 0x20008, masked: None, operator: "SCMP_CMP_EQ" },
    ),
    (
        "personality",
        When::Always,
        Argument { index: 0, value: 0xffffffff, masked: None, operator: "SCMP_CMP_EQ" },
    ),
    (
        "clone",
        When::Without("CAP_SYS_ADMIN", "s390x"),
        Argument { index: 0, value: NEW_NAMESPACES, masked: Some(0), operator: "SCMP_CMP_MASKED_EQ" },
    ),
    (
        "clone",
        When::WithoutOn("CAP_SYS_ADMIN", "s390x"),
        Argument { index: 1, value: NEW_NAMESPACES, masked: Some(0), operator: "SCMP_CMP_MASKED_EQ" },
    ),
];

/// The flags of clone(2) that make namespaces: all of `CLONE_NEW*` but `CLONE_NEWTIME`, which only clone3(2) takes.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// A call that does not exist for those without this capability, so that programs take the older one: clone3(2)
/// has its flags in memory, where no filter can look.
pub(super) const ABSENT: (&str, &str) = ("clone3", "CAP_SYS_ADMIN");

/// The instruction sets of a machine, for programs of 32 bits on one of 64.
pub(super) const ARCHITECTURES: &[(&str, &[&str])] = &[
    ("amd64", &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
    ("arm64", &["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
    ("riscv64", &["SCMP_ARCH_RISCV64"]),
    ("s390x", &["SCMP_ARCH_S390X", "SCMP_ARCH_S390"]),
];
