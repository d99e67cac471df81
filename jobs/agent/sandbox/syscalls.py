"""The system calls that code may use: ``name:number on x86_64:number on aarch64``, from the kernel's unistd.h.

Everything that is not here is refused. What Python, NumPy and pandas need for computing and for files is here; what
makes processes, sockets, links, mounts, or touches other processes is not.
"""

from __future__ import annotations

ALLOWED = """
read:0:63 write:1:64 close:3:57 stat:4:- fstat:5:80 lstat:6:- poll:7:- lseek:8:- mmap:9:222 mprotect:10:226
munmap:11:215 brk:12:214 rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 pread64:17:67
pwrite64:18:68 readv:19:65 writev:20:66 access:21:- pipe:22:- select:23:- sched_yield:24:124 mremap:25:216
msync:26:227 mincore:27:232 madvise:28:233 dup:32:23 dup2:33:- pause:34:- nanosleep:35:101 getitimer:36:102
alarm:37:- setitimer:38:103 getpid:39:172 sendfile:40:71 sendmsg:46:211 recvmsg:47:212 sendto:44:206
recvfrom:45:207 shutdown:48:210 getsockname:51:204 getpeername:52:205 getsockopt:55:209 setsockopt:54:208
exit:60:93 uname:63:160 fsync:74:82 fdatasync:75:83 ftruncate:77:46 getdents:78:- getcwd:79:17 chdir:80:49
fchdir:81:50 rename:82:- mkdir:83:- rmdir:84:- creat:85:- unlink:87:- readlink:89:- umask:95:166
gettimeofday:96:169 getrlimit:97:163 getrusage:98:165 sysinfo:99:179 times:100:153 getuid:102:174 getgid:104:176
geteuid:107:175 getegid:108:177 getppid:110:173 getpgrp:111:- getgroups:115:158 getresuid:118:148
getresgid:120:150 getpgid:121:155 getsid:124:156 capget:125:90 rt_sigpending:127:136 rt_sigtimedwait:128:137
rt_sigsuspend:130:133 sigaltstack:131:132 statfs:137:43 fstatfs:138:44 getpriority:140:141 sched_getparam:143:121
sched_getscheduler:145:120 sched_get_priority_max:146:125 sched_get_priority_min:147:126
sched_rr_get_interval:148:127 arch_prctl:158:- setrlimit:160:164 sync_file_range:277:84 gettid:186:178
readahead:187:213 time:201:- futex:202:98 sched_getaffinity:204:123 epoll_create:213:- getdents64:217:61
set_tid_address:218:96 restart_syscall:219:128 fadvise64:221:223 clock_gettime:228:113 clock_getres:229:114
clock_nanosleep:230:115 exit_group:231:94 epoll_wait:232:- epoll_ctl:233:21 waitid:247:95 wait4:61:260
mkdirat:258:34 newfstatat:262:79 unlinkat:263:35 renameat:264:38 readlinkat:267:78 faccessat:269:48
pselect6:270:72 ppoll:271:73 set_robust_list:273:99 epoll_pwait:281:22 eventfd:284:- timerfd_create:283:85
timerfd_settime:286:86 timerfd_gettime:287:87 fallocate:285:47 eventfd2:290:19 epoll_create1:291:20 dup3:292:24
pipe2:293:59 preadv:295:69 pwritev:296:70 getcpu:309:168 renameat2:316:276 getrandom:318:278 membarrier:324:283
mlock:149:228 munlock:150:229 mlock2:325:284 copy_file_range:326:285 preadv2:327:286 pwritev2:328:287
pkey_mprotect:329:288 pkey_alloc:330:289 pkey_free:331:290 statx:332:291 rseq:334:293 close_range:436:436
faccessat2:439:439 epoll_pwait2:441:441 get_mempolicy:239:236 flock:73:32 futex_waitv:449:449 cachestat:451:451
futex_wake:454:454 futex_wait:455:455 futex_requeue:456:456
"""

SILENT = """
chmod:90:- fchmod:91:52 fchmodat:268:53 chown:92:- fchown:93:55 lchown:94:- fchownat:260:54 utime:132:-
utimes:235:- futimesat:261:- utimensat:280:88 fchmodat2:452:452
"""
"""Say that they are done and do nothing: rights and times of files. Landlock does not guard these, and copying a file
asks for them."""

UNSUPPORTED = """
getxattr:191:8 lgetxattr:192:9 fgetxattr:193:10 listxattr:194:11 llistxattr:195:12 flistxattr:196:13
setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7
"""
"""As on a file system without extended attributes, which whoever copies files expects."""

LOOKED_AT = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "openat": (257, 56),
    "prctl": (157, 167),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "tkill": (200, 130),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prlimit64": (302, 261),
    "open": (2, None),
}
"""Allowed or not by what they are asked for: see :mod:`jobs.agent.sandbox.seccomp`."""


def numbers(table: str, column: int) -> list[int]:
    """The numbers of ``table`` for a machine. column: 0 for x86_64, 1 for aarch64."""
    found = (entry.split(":")[1 + column] for entry in table.split())
    return [int(number) for number in found if number != "-"]
