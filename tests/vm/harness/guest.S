# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The boot sector of the guests in the machine. It paints the whole text screen green
# and says, on the screen and on the serial port, that it runs and which hypervisor
# CPUID leaf 0x40000000 names. What is not printable there comes out as a dot.
        .code16
        .globl  _start
_start: cli
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7c00, %sp
        ljmp    $0, $main

main:   movw    $0x0003, %ax            # text, 80x25
        int     $0x10
        movw    $0x0920, %ax            # 2000 blanks, white on green
        movw    $0x002f, %bx
        movw    $2000, %cx
        int     $0x10

        movl    $0x40000000, %eax
        cpuid
        movl    %ebx, signature
        movl    %ecx, signature + 4
        movl    %edx, signature + 8
        movw    $signature, %si
        movw    $12, %cx
1:      cmpb    $' ', (%si)
        jb      2f
        cmpb    $'~', (%si)
        jbe     3f
2:      movb    $'.', (%si)
3:      incw    %si
        loop    1b

        movw    $text, %si
4:      lodsb
        testb   %al, %al
        jz      6f
        movb    %al, %cl
        movw    $0x3fd, %dx             # COM1: until there is room for a byte
5:      inb     %dx, %al
        testb   $0x20, %al
        jz      5b
        movw    $0x3f8, %dx
        movb    %cl, %al
        outb    %al, %dx
        movb    $0x0e, %ah              # the screen
        movw    $0x0007, %bx
        int     $0x10
        jmp     4b
6:      hlt
        jmp     6b

text:   .ascii  "\r\n  This is the guest's own screen.\r\n  hypervisor: "
signature:
        .ascii  "            "
        .asciz  "\r\n"

        .org    510
        .word   0xaa55
