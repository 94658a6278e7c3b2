//! seccomp: what the process may not ask the kernel for from now on.
//!
//! It is a list of what a proxy never does, answered with EPERM, so that a mistake in the list costs a request and not the
//! gateway. What is not on it is what a runtime, a resolver and an allocator need today or tomorrow.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

/// Running programs, looking into other processes, changing mounts, namespaces, the kernel, the clock or one's identity, and
/// interfaces known for their holes.
const NEVER: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_mknodat,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ustat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_sysfs,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

/// The kinds of sockets that are needed: the resolver of glibc asks for addresses of ours by netlink.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Flags of `clone` that make namespaces.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Restricts this thread and all that it starts.
pub(super) fn restrict() -> Result<(), String> {
    for program in programs()? {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 2], String> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        NEVER.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![other_families()?]);
    rules.insert(libc::SYS_clone, NAMESPACES.iter().map(|flag| with_flag(*flag)).collect::<Result<_, _>>()?);
    let mut never = compile(rules, libc::EPERM)?;
    #[cfg(target_arch = "x86_64")]
    never.splice(0..0, no_x32());
    never.shrink_to_fit();
    // Its flags are in memory, where a filter cannot look; told that there is no such call, every C library falls back on
    // `clone`.
    let clone3 = compile(BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)?;
    Ok([never, clone3])
}

fn compile(rules: BTreeMap<c_long, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| error.to_string())
}

/// Holds for `socket` where the family is none of [`FAMILIES`].
fn other_families() -> Result<SeccompRule, String> {
    let is_other = |family: &i32| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
    };
    let conditions = FAMILIES.iter().map(is_other).collect::<Result<_, _>>();
    conditions.and_then(SeccompRule::new).map_err(|error| error.to_string())
}

/// Holds for `clone` where its flags contain `flag`.
fn with_flag(flag: i32) -> Result<SeccompRule, String> {
    let flag = u64::from(flag.unsigned_abs());
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(|error| error.to_string())
}

/// Refuses the second way of numbering calls on x86-64 (x32), by which the list could be gone around.
#[cfg(target_arch = "x86_64")]
fn no_x32() -> [sock_filter; 3] {
    /// The bit that those numbers have (`__X32_SYSCALL_BIT`).
    const X32: u32 = 0x4000_0000;
    let instruction = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    [
        // The number is the first word of what a filter sees (`seccomp_data`).
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
    ]
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::{
        io::Errno,
        net::{AddressFamily, SocketType, socket},
    };

    use super::*;

    #[test]
    fn what_a_proxy_never_does_is_refused_and_threads_and_sockets_still_work() {
        // In a thread of its own: the tests beside it stay as free as they are.
        let tried = std::thread::spawn(|| {
            restrict().unwrap();
            let run = std::process::Command::new("/bin/true").status().unwrap_err();
            assert_eq!(run.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(
                socket(AddressFamily::from_raw(libc::AF_ALG as u16), SocketType::SEQPACKET, None)
                    .unwrap_err(),
                Errno::PERM
            );
            assert!(socket(AddressFamily::NETLINK, SocketType::RAW, None).is_ok());
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let inner = std::thread::spawn(move || std::net::TcpStream::connect(address).is_ok());
            assert!(inner.join().unwrap());
            assert!(std::net::ToSocketAddrs::to_socket_addrs("localhost:1").is_ok());
        });
        tried.join().unwrap();
    }
}
