/*
 * why SYMBOL... - what an option depends on and what selects it, with the values that these have.
 *
 * Asks the kernel's own reader of Kconfig files, so it is linked with the objects in scripts/kconfig, and run in the top of a
 * source tree that has a .config. `configure` sets what Kconfig files ask of the environment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lkc.h"

/* Of what is known of an option, the lines that tell why it has its value. */
static void print_reasons(char *text)
{
	static const char *const headings[] = { "Depends on:", "Selected by", "Implied by" };
	int wanted = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *word = line + strspn(line, " ");

		/* What is selected by whom is a list below its heading. */
		wanted = wanted && !strncmp(word, "- ", 2);
		for (size_t i = 0; i < sizeof(headings) / sizeof(*headings); i++)
			wanted = wanted || !strncmp(word, headings[i], strlen(headings[i]));
		if (wanted)
			printf("    %s\n", line);
	}
}

int main(int argc, char **argv)
{
	conf_parse("Kconfig");
	if (conf_read(".config"))
		return EXIT_FAILURE;
	for (int i = 1; i < argc; i++) {
		struct symbol *symbol = sym_find(argv[i]);
		struct symbol *list[] = { symbol, NULL };

		if (!symbol || symbol->type == S_UNKNOWN) {
			printf("    this kernel has no option of that name for this architecture\n");
			continue;
		}
		struct gstr text = get_relations_str(list, NULL);

		print_reasons(str_get(&text));
		str_free(&text);
	}
	return EXIT_SUCCESS;
}
