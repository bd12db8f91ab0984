#include "runner/elf_loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define ELF_LOADER_HEADERS_MAX 64

int elf_loader_find(const char *program, char out[static PATH_MAX])
{
	_cleanup_close_ int fd = open(program, O_RDONLY | O_CLOEXEC);
	Elf64_Phdr headers[ELF_LOADER_HEADERS_MAX];
	Elf64_Ehdr head;
	ssize_t len;

	if (fd < 0 || pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(headers[0]) ||
	    head.e_phnum > ELF_LOADER_HEADERS_MAX)
		return -ENOEXEC;
	len = (ssize_t)(head.e_phnum * sizeof(headers[0]));
	if (pread(fd, headers, (size_t)len, (off_t)head.e_phoff) != len)
		return -ENOEXEC;
	for (size_t i = 0; i < head.e_phnum; i++) {
		const Elf64_Phdr *h = &headers[i];

		if (h->p_type != PT_INTERP)
			continue;
		if (h->p_filesz < 2 || h->p_filesz > PATH_MAX ||
		    pread(fd, out, h->p_filesz, (off_t)h->p_offset) !=
			    (ssize_t)h->p_filesz ||
		    out[h->p_filesz - 1])
			return -ENOEXEC;
		return 0;
	}
	return -ENOEXEC;
}
