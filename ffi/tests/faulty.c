/*
 * Two faults that a sanitizer must report: ./faulty address | undefined
 */
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	int volatile number = 0x7fffffff;
	size_t volatile size = 8; /* so that the compiler does not know */
	char *const memory = (char *)malloc(size);

	if (argc == 2 && memory && !strcmp(argv[1], "address"))
		((char volatile *)memory)[size] = 1;
	if (argc == 2 && !strcmp(argv[1], "undefined"))
		number += 1;
	free(memory);
	return 0;
}
