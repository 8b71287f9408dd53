/* Is this a whole shared object for this machine? dlopen() of a truncated file ends in SIGBUS, not in an
 * error. */
#define _GNU_SOURCE
#include "native.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#if defined(__x86_64__)
#define THIS_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define THIS_MACHINE EM_AARCH64
#elif defined(__i386__)
#define THIS_MACHINE EM_386
#elif defined(__arm__)
#define THIS_MACHINE EM_ARM
#else
#error "add this machine's ELF number"
#endif
#define THIS_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

static bool inside(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

static const char *segments_problem(const unsigned char *bytes, uint64_t size, const ElfW(Ehdr) *head) {
    bool dynamic = false;
    for (unsigned i = 0; i < head->e_phnum; i++) {
        ElfW(Phdr) segment;
        memcpy(&segment, bytes + head->e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_LOAD && segment.p_type != PT_DYNAMIC) continue;
        if (!inside(segment.p_offset, segment.p_filesz, size)) return "the shared object is cut off";
        dynamic |= segment.p_type == PT_DYNAMIC;
    }
    return dynamic ? NULL : "the file has no dynamic section: it is not a shared object";
}

const char *optima_elf_problem(const unsigned char *bytes, uint64_t size) {
    ElfW(Ehdr) head;
    if (bytes == NULL || size < sizeof head) return "the file is too short for a shared object";
    memcpy(&head, bytes, sizeof head);
    if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return "the file is not an ELF shared object";
    if (head.e_ident[EI_CLASS] != THIS_CLASS || head.e_machine != THIS_MACHINE)
        return "the shared object was built for another kind of CPU than this process runs on";
    if (head.e_type != ET_DYN) return "the ELF file is not a shared object";
    if (head.e_phentsize != sizeof(ElfW(Phdr))) return "the ELF header is malformed";
    if (!inside(head.e_phoff, (uint64_t)head.e_phnum * sizeof(ElfW(Phdr)), size))
        return "the shared object is cut off";
    return segments_problem(bytes, size, &head);
}
