# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what to whom: asked of the policy without our module and with it.

A subject is `guest`, `libvirt`, `init`, or `daemon` and `hook`: what init and libvirt
become when they run those files. An object is a path, whose label the policy knows, or
`type:NAME`, or a subject's process with `process:SUBJECT`. Each line has two answers,
without and with the module: Y, N, or - where there is no such subject or object.
"N Y" is a rule that is needed, "N N" one that must not come, "Y N" a domain that
became narrower.
"""

WRAPPERS = "/var/lib/vfio-profile/emulators"
WRAPPER = WRAPPERS + "/qemu-system-x86_64-0a1b2c3d"
GATE = "/run/vfio-profile/gate.sock"
JOURNAL = "/run/vfio-profile/holds/guest"
INTENT = "/var/lib/vfio-profile/intents/d-win10/intent"
PROFILE = "/etc/vfio-profile/profiles.d/local.conf"
DEFINITION = "/etc/libvirt/qemu/win10.xml"
DEFINITIONS = "/etc/libvirt/qemu"
IMAGE = "/var/lib/libvirt/images/win10.qcow2"
HOOK = "/etc/libvirt/hooks/qemu.d/50-vfio-profile"
OTHER_HOOK = "/etc/libvirt/hooks/qemu.d/50-other"
QEMU = "/usr/bin/qemu-system-x86_64"
INTERPRETER = "/usr/libexec/vfio-profile-emulator"

# subject, object, class, permissions, without, with
ACCESSES = """
guest   {WRAPPER}                 file         entrypoint                                          N Y
guest   {WRAPPER}                 file         read open getattr execute map                       N Y
guest   {WRAPPER}                 file         write append create unlink rename setattr relabelto link N N
guest   {WRAPPERS}                dir          search                                              Y Y
guest   {WRAPPERS}                dir          write add_name remove_name                          N N
guest   {INTERPRETER}             file         read execute execute_no_trans                       Y Y
guest   {QEMU}                    file         execute execute_no_trans                            Y Y
guest   {GATE}                    sock_file    write                                               - N
guest   process:daemon            unix_stream_socket connectto                                     N N
guest   process:daemon            process      signal sigkill ptrace                               N N
guest   {JOURNAL}                 file         read write                                          - N
guest   {INTENT}                  file         read write                                          N N
guest   {PROFILE}                 file         write                                               N N
guest   {HOOK}                    file         write execute_no_trans                              N N

libvirt {WRAPPER}                 file         execute execute_no_trans read map                   N Y
libvirt {WRAPPER}                 file         write create unlink relabelto                       N N
libvirt {WRAPPERS}                dir          search                                              Y Y
libvirt {WRAPPERS}                dir          write add_name                                      Y N
libvirt {HOOK}                    file         execute                                             N Y
libvirt {HOOK}                    file         execute_no_trans                                    N N
libvirt {HOOK}                    file         write                                               Y N
libvirt {OTHER_HOOK}              file         execute_no_trans                                    N N
libvirt process:hook              process      transition sigkill                                  - Y
libvirt process:guest             process      transition                                          Y Y
libvirt process:daemon            unix_stream_socket connectto                                     N N
libvirt process:daemon            file         read                                                Y Y

hook    {GATE}                    sock_file    write                                               - Y
hook    process:daemon            unix_stream_socket connectto                                     - Y
hook    process:libvirt           fd           use                                                 - Y
hook    process:libvirt           fifo_file    read write                                          - Y
hook    process:libvirt           unix_stream_socket connectto                                     - N
hook    process:guest             process      signal ptrace                                       - N
hook    process:daemon            process      signal ptrace                                       - N
hook    /etc/shadow               file         read                                                - N
hook    {PROFILE}                 file         read                                                - N
hook    {DEFINITION}              file         read write                                          - N
hook    {IMAGE}                   file         read write                                          - N
hook    {WRAPPER}                 file         read write execute                                  - N
hook    {JOURNAL}                 file         read write                                          - N
hook    {INTENT}                  file         read write                                          - N
hook    /bin/sh                   file         execute execute_no_trans                            - N
hook    {INTERPRETER}             file         execute_no_trans                                    - N
hook    type:sysfs_t              file         write                                               - N
hook    process:hook              tcp_socket   create                                              - N
hook    process:hook              capability   dac_override sys_admin                              - N

init    process:daemon            process      transition                                          Y Y
init    process:daemon            process2     nnp_transition                                      Y Y
init    process:daemon            unix_stream_socket create bind listen                            Y Y
init    /run/vfio-profile         dir          create mounton                                      - Y
init    {GATE}                    sock_file    create unlink                                       - Y
init    /var/lib/vfio-profile     dir          create setattr mounton                              Y Y

daemon  {WRAPPER}                 file         write create rename unlink setattr                  Y Y
daemon  {WRAPPER}                 file         relabelto                                           Y Y
daemon  {WRAPPER}                 file         relabelfrom                                         Y N
daemon  /var/lib/vfio-profile/x   file         getattr relabelfrom                                 Y Y
daemon  /var/lib/vfio-profile/x   file         read write create relabelto                         Y N
daemon  {WRAPPER}                 file         execute execute_no_trans                            Y N
daemon  {WRAPPER}                 file         entrypoint                                          N N
daemon  {WRAPPERS}                dir          write add_name create                               Y Y
daemon  {QEMU}                    file         getattr                                             Y Y
daemon  {QEMU}                    file         execute execute_no_trans write                      Y N
daemon  {INTERPRETER}             file         execute execute_no_trans write                      Y N
daemon  /bin/sh                   file         execute execute_no_trans                            Y N
daemon  {IMAGE}                   file         read write                                          Y N
daemon  /run/libvirt/qemu/win10.pid file       read                                                Y Y
daemon  /run/libvirt/qemu/win10.pid file       write                                               Y N
daemon  /run/libvirt/qemu         dir          read watch                                          Y Y
daemon  {PROFILE}                 file         read map                                            Y Y
daemon  /usr/share/vfio-profile/profiles.d/vga.conf file read map                              Y Y
daemon  /usr/share/vfio-profile/profiles.d/vga.conf file write                                 Y N
daemon  {PROFILE}                 file         write unlink                                        Y N
daemon  /etc/vfio-profile/profiles.d dir          read watch                                       Y Y
daemon  /usr/share/vfio-profile/profiles.d dir          read watch                                 Y Y
daemon  /usr/bin                  dir          read watch                                          Y Y
daemon  {DEFINITION}              file         read open                                           Y Y
daemon  {DEFINITION}              file         write unlink rename                                 Y N
daemon  {DEFINITIONS}             dir          read search watch                                   Y Y
daemon  {DEFINITIONS}             dir          write add_name remove_name                          Y N
daemon  {HOOK}                    file         write execute_no_trans                              Y N
daemon  {JOURNAL}                 file         write create rename unlink                          - Y
daemon  {INTENT}                  file         read write create rename unlink                     Y Y
daemon  /var/lib/vfio-profile/intents dir      create add_name remove_name rmdir                  Y Y
daemon  {GATE}                    sock_file    create unlink setattr                               - Y
daemon  /run/libvirt/libvirt-sock sock_file    write                                               Y Y
daemon  process:libvirt           unix_stream_socket connectto                                     Y Y
daemon  process:libvirt           process      signal sigkill ptrace                               Y N
daemon  process:guest             process      signal sigkill ptrace setsched                      Y N
daemon  process:guest             dir          read search                                         Y Y
daemon  process:guest             file         read                                                Y Y
daemon  process:guest             lnk_file     read                                                Y Y
daemon  type:xserver_t            dir          read search                                         Y Y
daemon  type:dri_device_t         chr_file     getattr                                             Y Y
daemon  type:dri_device_t         chr_file     read write open                                     Y N
daemon  type:fixed_disk_device_t  blk_file     getattr                                             Y Y
daemon  type:fixed_disk_device_t  blk_file     read write                                          Y N
daemon  type:memory_device_t      chr_file     read write                                          Y N
daemon  type:vfio_device_t        chr_file     read write                                          Y N
daemon  type:sysfs_t              file         read write                                          Y Y
daemon  type:sysctl_irq_t         file         read write                                          Y Y
daemon  type:sysctl_vm_t          file         write                                               Y Y
daemon  type:sysctl_kernel_t      file         read                                                Y Y
daemon  type:sysctl_kernel_t      file         write                                               Y N
daemon  type:proc_net_t           file         read                                                Y Y
daemon  type:hugetlbfs_t          dir          read search                                         Y Y
daemon  type:hugetlbfs_t          dir          write add_name                                      Y N
daemon  type:hugetlbfs_t          file         read write                                          Y N
daemon  /usr/lib/udev/hwdb.bin    file         read map                                            Y Y
daemon  /usr/lib/udev/hwdb.bin    file         write execute                                       Y N
daemon  type:sysctl_vm_overcommit_t file       read                                                Y Y
daemon  type:init_t               dbus         send_msg                                            Y Y
daemon  type:system_dbusd_t       dbus         send_msg                                            Y Y
daemon  type:init_t               system       start status                                        Y Y
daemon  type:init_t               system       reload reboot halt                                  Y N
daemon  type:systemd_unit_t       service      start status                                        Y Y
daemon  type:systemd_unit_t       service      stop                                                Y Y
daemon  type:systemd_unit_t       service      enable disable                                      N N
daemon  type:systemd_unit_t       file         write                                               Y N
daemon  /etc/shadow               file         read                                                Y N
daemon  /etc/passwd               file         write                                               Y N
daemon  /etc/modprobe.d/x.conf    file         write                                               Y N
daemon  type:security_t           security     load_policy setenforce                              Y N
daemon  type:kernel_t             system       module_request                                      Y N
daemon  process:daemon            capability   sys_nice sys_ptrace dac_read_search                 Y Y
daemon  process:daemon            capability   sys_admin sys_module sys_rawio dac_override setuid  Y N
daemon  process:daemon            process      setsched                                            Y Y
daemon  process:daemon            process      execmem                                             N N
daemon  process:daemon            process      setexec setcurrent                                  Y N
daemon  process:daemon            netlink_kobject_uevent_socket create bind read                   Y Y
daemon  process:daemon            tcp_socket   create connect                                      Y N
"""


def read(table=ACCESSES):
    """(subject, object, class, [permissions], without, with) of each line."""
    names = {name: value for name, value in globals().items() if name.isupper() and name != "ACCESSES"}
    for line in table.format(**names).splitlines():
        if line:
            subject, target, target_class, *permissions, without, within = line.split()
            yield subject, target, target_class, permissions, without, within
