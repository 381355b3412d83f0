/*
 * A machine without an operating system, for tests of those who look into its memory.
 *
 * It keeps what core and three components would keep: core's table and directory, and a table
 * for each component, by the library that runs in Genode. It changes all of them without end,
 * loses a gate now and then, restarts a component, and has one that forges a table. It is
 * started by a multiboot loader, and writes one line to the first serial port.
 */
#include <cap_map.h>

#define HIDDEN __attribute__((used))

/* header for the loader, and the way from 32 to 64 bits with the first GiB mapped one to one */
asm(
	".section .boot, \"awx\"\n"
	".code32\n"
	".align 4\n"
	".long 0x1badb002, 0, -0x1badb002\n"
	".globl _start\n"
	"_start:\n"
	"	mov $stack_end, %esp\n"
	"	movl $page_directory + 0x23, page_table\n"
	"	movl $pages + 0x23, page_directory\n"
	"	mov $pages, %edi\n"
	"	mov $0xa3, %eax\n"              /* present, writable, accessed, 2 MiB */
	"	mov $512, %ecx\n"
	"1:	mov %eax, (%edi)\n"
	"	add $0x200000, %eax\n"
	"	add $8, %edi\n"
	"	loop 1b\n"
	"	mov $0x620, %eax\n"             /* PAE, SSE */
	"	mov %eax, %cr4\n"
	"	mov $page_table, %eax\n"
	"	mov %eax, %cr3\n"
	"	mov $0xc0000080, %ecx\n"        /* EFER: long mode */
	"	mov $0x100, %eax\n"
	"	xor %edx, %edx\n"
	"	wrmsr\n"
	"	mov $0x80000003, %eax\n"        /* paging, protection, the FPU is there */
	"	mov %eax, %cr0\n"
	"	lgdt descriptors\n"
	"	ljmp $8, $2f\n"
	".code64\n"
	"2:	mov $0, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov %eax, %ss\n"
	"	mov $stack_end, %rsp\n"
	"	call run\n"
	"	hlt\n"
	".align 8\n"
	"segments: .quad 0, 0x00209a0000000000\n"
	"descriptors: .word 15\n"
	"	.long segments\n"
	".bss\n"
	".align 4096\n"
	"page_table: .skip 4096\n"
	"page_directory: .skip 4096\n"
	"pages: .skip 4096\n"
	".skip 65536\n"
	"stack_end:\n"
	".text\n");

HIDDEN void *memset(void *to, int value, size_t bytes)
{
	void *next = to;
	asm volatile("rep stosb" : "+D"(next), "+c"(bytes) : "a"(value) : "memory");
	return to;
}

HIDDEN void *memcpy(void *to, void const *from, size_t bytes)
{
	void *next = to;
	asm volatile("rep movsb" : "+D"(next), "+S"(from), "+c"(bytes) : : "memory");
	return to;
}

HIDDEN void *memmove(void *to, void const *from, size_t bytes)
{
	if ((uintptr_t)to <= (uintptr_t)from)
		return memcpy(to, from, bytes);

	for (size_t i = bytes; i--; )
		((char volatile *)to)[i] = ((char const *)from)[i];
	return to;
}

void cap_map_relax(void) { }

static void out(char const *text)
{
	for (; *text; text++)
		asm volatile("outb %0, %1" : : "a"(*text), "Nd"((uint16_t)0x3f8));
}

static void check(bool ok, char const *what)
{
	if (ok)
		return;
	out("failed: ");
	out(what);
	out("\n");
	for (;;)
		asm volatile("cli; hlt");
}

enum { CORE_SLOTS = 1024, SLOTS = 512, FIRST = 16, PDS = 8, NUM = 4, PLACES = NUM + 1, GATE = 1, TASK = 2 };

/* core's directory, as doc/layout.md says */
static struct
{
	uint64_t magic, version, size, num_pds, pd_size, pds_at, num_slots, slots_at, boot, checksum,
	         zero_0[6], sequence, zero_1[7];
	struct { uint64_t state, badge, table, table_size, instance, zero[3]; char label[64]; } pds[PDS];
	uint32_t slots[CORE_SLOTS];
} directory __attribute__((aligned(4096)));

static uint64_t const BOOT = 0x1122334455667788;

static void change(void (*fn)(unsigned, uint64_t), unsigned a, uint64_t b)
{
	__atomic_store_n(&directory.sequence, directory.sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	fn(a, b);
	__atomic_store_n(&directory.sequence, directory.sequence + 1, __ATOMIC_RELEASE);
}

static void set_record(unsigned slot, uint64_t record)
{
	__atomic_store_n(&directory.slots[slot], (uint32_t)record, __ATOMIC_RELAXED);
}

static void set_state(unsigned pd, uint64_t state)
{
	__atomic_store_n(&directory.pds[pd].state, state, __ATOMIC_RELAXED);
}

static void make_directory(void)
{
	directory.version   = 1;
	directory.size      = sizeof(directory);
	directory.num_pds   = PDS;
	directory.pd_size   = 128;
	directory.pds_at    = 0xc0;
	directory.num_slots = CORE_SLOTS;
	directory.slots_at  = 0xc0 + 128*PDS;
	directory.boot      = BOOT;

	uint64_t const magic = 0x4341504449524543;
	uint64_t       sum   = 0xcbf29ce484222325;
	for (unsigned i = 0; i < 72; i++) {
		uint64_t const word = i < 8 ? magic : (&directory.magic)[i/8];
		sum = (sum ^ (word >> 8*(i % 8) & 0xff)) * 0x100000001b3;
	}
	directory.checksum = sum;
	__atomic_store_n(&directory.magic, magic, __ATOMIC_RELEASE);
}

/* tables with the private memory of their owners */
static uint8_t regions[PLACES][0x4000] __attribute__((aligned(4096)));
static uint8_t core_region[0x4000]  __attribute__((aligned(4096)));
static uint8_t forged[0x4000]       __attribute__((aligned(4096)));
static uint8_t memory[PLACES + 2][0x10000] __attribute__((aligned(64)));

enum { SERVER, CLIENT, LEAKY, RESTARTED };

static char const * const labels[NUM] = {
	"init -> server", "init -> client", "init -> leaky", "init -> restarted" };

static cap_map_owner *core, *owners[PLACES], *liar;

static uint32_t next_badge = 4;

static cap_map_identity identity_of(char const *label, uint64_t instance, uint32_t pd)
{
	cap_map_identity identity = { .boot = BOOT, .instance = instance, .pd = pd };
	for (unsigned i = 0; label[i] && i < sizeof(identity.label); i++)
		identity.label[i] = label[i];
	return identity;
}

static cap_map_owner *create(void *private_memory, void *region, bool is_core)
{
	cap_map_config const config = {
		.max_slots = is_core ? CORE_SLOTS : SLOTS, .first_user = FIRST, .shift = 12,
		.badge_bits = 28, .wait_budget = 100, .core = is_core };
	cap_map_owner *owner = NULL;
	check(cap_map_owner_create(private_memory, sizeof(memory[0]), region, is_core
	                           ? cap_map_region_size(CORE_SLOTS) : cap_map_region_size(SLOTS),
	                           &config, &owner) == CAP_MAP_STATUS_OK, "create");
	return owner;
}

/* an object in core, made by a component, or by core itself if there is none */
static uint32_t make_object(unsigned kind, int creator)
{
	uint32_t const badge = next_badge;
	uint32_t       slot  = 0;

	/* badges stay small enough for people */
	do next_badge = next_badge % 0xffff0 + 4;
	while (cap_map_badge_find(core, next_badge, &slot) == CAP_MAP_STATUS_OK);

	check(cap_map_badge_insert(core, badge, &slot) == CAP_MAP_STATUS_OK, "core is full");
	change(set_record, slot, kind << 16 | (unsigned)(creator + 1));
	return badge;
}

static void drop(cap_map_owner *owner, uint32_t badge)
{
	uint32_t slot = 0;
	check(cap_map_badge_find(owner, badge, &slot) == CAP_MAP_STATUS_OK, "find");
	if (owner == core)
		change(set_record, slot, 0);
	check(cap_map_slot_remove(owner, slot) == CAP_MAP_STATUS_OK, "remove");
}

static void insert(cap_map_owner *owner, uint32_t badge)
{
	uint32_t slot = 0;
	check(cap_map_badge_insert(owner, badge, &slot) == CAP_MAP_STATUS_OK, "insert");
}

/* starts a component at one of the places, each with an entry of the directory and memory */
static void start(char const *label, unsigned place, uint64_t instance)
{
	uint32_t const badge = make_object(TASK, -1);

	memset(regions[place], 0, sizeof(regions[place]));
	memset(memory[place],  0, sizeof(memory[place]));
	owners[place] = create(memory[place], regions[place], false);

	cap_map_identity const identity = identity_of(label + 8, instance, badge);
	check(cap_map_owner_publish(owners[place], &identity) == CAP_MAP_STATUS_OK, "publish");
	insert(owners[place], badge);

	directory.pds[place].badge      = badge;
	directory.pds[place].table      = (uintptr_t)regions[place];
	directory.pds[place].table_size = sizeof(regions[place]);
	directory.pds[place].instance   = instance;
	memset(directory.pds[place].label, 0, sizeof(directory.pds[place].label));
	for (unsigned n = 0; label[n]; n++)
		directory.pds[place].label[n] = label[n];
	change(set_state, place, 1);
}

/* gives two capabilities of the client the badge of the other one, and back */
static void swap(uint32_t a, uint32_t b)
{
	cap_map_monitor monitor;
	uint32_t slots[2], refused = 0;
	check(cap_map_badge_find(owners[CLIENT], a, &slots[0]) == CAP_MAP_STATUS_OK, "find a");
	check(cap_map_badge_find(owners[CLIENT], b, &slots[1]) == CAP_MAP_STATUS_OK, "find b");
	check(cap_map_monitor_attach(regions[CLIENT], cap_map_region_size(SLOTS), 100, &monitor)
	      == CAP_MAP_STATUS_OK, "attach");
	cap_map_rewrite batch[] = { { slots[0], a, b, 0, 0, 0 }, { slots[1], b, a, 0, 0, 0 } };
	check(cap_map_monitor_rewrite(&monitor, batch, 2, &refused) == CAP_MAP_STATUS_OK, "rewrite");
}

HIDDEN void run(void)
{
	make_directory();
	core = create(memory[PLACES], core_region, true);
	cap_map_identity const identity = identity_of("core", 1, 0);
	check(cap_map_owner_describe(core, &identity) == CAP_MAP_STATUS_OK, "describe");

	for (unsigned i = 0; i < NUM; i++)
		start(labels[i], i, 100 + i);

	/* a table in memory of nobody that core knows, by the name of the server */
	liar = create(memory[PLACES + 1], forged, false);
	cap_map_identity const lie = identity_of(labels[SERVER], 100, 4);
	check(cap_map_owner_describe(liar, &lie) == CAP_MAP_STATUS_OK, "lie");
	for (uint32_t badge = 4; badge < 1000; badge += 4)
		insert(liar, badge);

	uint32_t gates[32] = { };
	uint32_t const a = make_object(GATE, SERVER), b = make_object(GATE, SERVER);
	insert(owners[CLIENT], a);
	insert(owners[CLIENT], b);

	unsigned leaked = 0, place = RESTARTED;
	for (uint64_t round = 0; ; round++) {

		/* the server hands a gate out to the client, and destroys an older one */
		uint32_t * const gate = &gates[round % 32];
		if (*gate) {
			drop(owners[CLIENT], *gate);
			drop(owners[SERVER], *gate);
			drop(core, *gate);
		}
		*gate = make_object(GATE, SERVER);
		insert(owners[SERVER], *gate);
		insert(owners[CLIENT], *gate);
		if (round % 8 == 0)
			swap(a, b), swap(b, a);

		/* the mistake that leaks has to find: a gate that nobody gets, and nobody destroys */
		if (round % 20000 == 19999 && leaked < 400) {
			make_object(GATE, LEAKY);
			leaked++;
		}
		if (round % 50000 == 49999) {
			/* what is left of its life: an entry, and the memory of its table */
			uint32_t const badge = (uint32_t)directory.pds[place].badge;
			change(set_state, place, 2);
			drop(core, badge);
			place = place == RESTARTED ? RESTARTED + 1 : RESTARTED;
			start(labels[RESTARTED], place, 1000 + round);
		}
		if (round == 1000)
			out("ready\n");
	}
}
