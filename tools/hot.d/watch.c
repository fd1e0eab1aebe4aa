// A qemu plugin: which functions of one static program run in a machine, and in which kind of its processes.
//
//   -plugin watch.so,elf=PROGRAM,symbols=FILE,out=FILE
//
// FILE of symbols: `nm -n --print-size --defined-only PROGRAM`. Out: lines `KIND NAME`, one for each function: `a` ran in what
// libcontainer clones for a container, `b` in the runtime that is executed for each, `c` elsewhere only.
//
// Declares what it uses of qemu-plugin.h (API 4), which Debian does not package, and of GLib, which qemu has.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <elf.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_register;
typedef uint64_t qemu_plugin_id_t;
typedef struct { struct qemu_plugin_register *handle; const char *name; const char *feature; } Register;
typedef struct { unsigned char *data; unsigned len; } GByteArray;
typedef struct { Register *data; unsigned len; } GArray;
GByteArray *g_byte_array_new(void);
GByteArray *g_byte_array_set_size(GByteArray *, unsigned);
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, unsigned));
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
GArray *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *, GByteArray *);
__attribute__((visibility("default"))) int qemu_plugin_version = 4;
enum { READ_REGISTERS = 1 };

typedef struct { uint64_t start, size; char name[1024]; char says; unsigned kinds; } Function;
static Function *functions;
static size_t count;
static unsigned char *elf;
static FILE *out;
static struct qemu_plugin_register *cr3;
static GByteArray *value;
// Of what kind the process is whose page table is at this place: in pairs of pages, for the first 8 GiB of memory.
static char spaces[1 << 20];

// What a process is, by what it runs; a new one is the runtime until it is known better.
static char kind_by(const char *name) {
    if (!strcmp(name, "_start")) return 'b';
    if (strstr(name, "prctl8set_name")) return 'a';
    if (strstr(name, "7lk_init10supervisor") || strstr(name, "7lk_init4pid1") || strstr(name, "7lk_init4shim")) return 'c';
    return 0;
}

static void ran(unsigned cpu, void *data) {
    (void)cpu;
    Function *function = data;
    g_byte_array_set_size(value, 0);
    qemu_plugin_read_register(cr3, value);
    uint64_t table = 0;
    memcpy(&table, value->data, value->len < 8 ? value->len : 8);
    // With page-table isolation the kernel's and the program's differ in these bits.
    char *kind = &spaces[(table >> 13) % sizeof spaces];
    if (function->says) *kind = function->says;
    function->kinds |= 1u << ((*kind ? *kind : 'b') - 'a');
}

static bool is_ours(uint64_t address, const unsigned char *code, size_t length) {
    const Elf64_Ehdr *header = (void *)elf;
    const Elf64_Phdr *segment = (void *)(elf + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++, segment++)
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) && address >= segment->p_vaddr &&
            address + length <= segment->p_vaddr + segment->p_filesz)
            return !memcmp(elf + segment->p_offset + (address - segment->p_vaddr), code, length);
    return false;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
    (void)id;
    uint64_t address = qemu_plugin_tb_vaddr(block);
    unsigned char code[16];
    struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(block, 0);
    size_t length = qemu_plugin_insn_data(first, code, sizeof code);
    if (!is_ours(address, code, length)) return;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (functions[middle].start <= address) low = middle + 1; else high = middle;
    }
    if (!low || address >= functions[low - 1].start + functions[low - 1].size) return;
    qemu_plugin_register_vcpu_tb_exec_cb(block, ran, READ_REGISTERS, &functions[low - 1]);
}

static void started(qemu_plugin_id_t id, unsigned cpu) {
    (void)id, (void)cpu;
    GArray *registers = qemu_plugin_get_registers();
    for (unsigned i = 0; i < registers->len; i++)
        if (!strcmp(registers->data[i].name, "cr3")) cr3 = registers->data[i].handle;
    if (!cr3) { fprintf(stderr, "watch: this machine has no cr3\n"); exit(1); }
}

static void ended(qemu_plugin_id_t id, void *data) {
    (void)id, (void)data;
    for (size_t i = 0; i < count; i++)
        if (functions[i].kinds) fprintf(out, "%c %s\n", 'a' + __builtin_ctz(functions[i].kinds), functions[i].name);
    fclose(out);
}

static const char *argument(int argc, char **argv, const char *name) {
    size_t length = strlen(name);
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], name, length) && argv[i][length] == '=') return argv[i] + length + 1;
    fprintf(stderr, "watch: %s= is missing\n", name);
    exit(1);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    FILE *symbols = fopen(argument(argc, argv, "symbols"), "r"), *program = fopen(argument(argc, argv, "elf"), "rb");
    out = fopen(argument(argc, argv, "out"), "w");
    if (!symbols || !program || !out || fseek(program, 0, SEEK_END)) return 1;
    long length = ftell(program);
    rewind(program);
    elf = malloc(length);
    if (!elf || fread(elf, 1, length, program) != (size_t)length) return 1;
    char line[2048], type;
    while (fgets(line, sizeof line, symbols)) {
        Function f = {0};
        if (sscanf(line, "%lx %lx %c %1023s", &f.start, &f.size, &type, f.name) != 4 || !strchr("tTwW", type)) continue;
        f.says = kind_by(f.name);
        functions = realloc(functions, (count + 1) * sizeof f);
        functions[count++] = f;
    }
    value = g_byte_array_new();
    qemu_plugin_register_vcpu_init_cb(id, started);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
