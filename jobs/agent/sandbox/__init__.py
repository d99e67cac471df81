"""A place in which code that a model wrote can run and do no harm.

One program (``enter``) shuts itself in and becomes the one process that runs the code. Three walls, each of them the
kernel's, none with root or with a program that may be missing:

    seccomp     system calls: no sockets, no other process or program, no signals to others, nothing that mounts or traces
    Landlock    files: Python's own libraries can be read, one folder can be written
    namespaces  the rest of the disk, the network and all other processes are not there at all

The first is needed, and one of the other two; else nothing is run (``ability``). Beside them: limits of the kernel for
memory, processor time and the size of a file, and a watch from outside (``watch``) over the time, the output, the
folder and the threads. Forks are refused, so that the limits of one process are those of the whole call.

Covered: reading or changing files elsewhere; the network, also unix sockets; other processes; the environment; more
time, memory, disk, output or threads than allowed; links left behind in the folder.

Not covered: a fault of the kernel itself; what the code learns from timing; without namespaces, whether a path exists
(not what it holds), and threads or files made within a tenth of a second before the watch looks.
"""
