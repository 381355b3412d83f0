/*
 * Model of the table's protocol: the owner's writes, monitors' batches, recovery, moves.
 *
 * Every access to shared memory is a step of its own (an atomic block with one access, and
 * what follows from it in local and ghost variables). So each party may stand still between
 * any two of them for any time: the checker explores all of it. A monitor may also die there,
 * and the memory may be copied there and taken up in another life. Memory is sequentially
 * consistent here. Weak ordering is the business of tests/loom.
 *
 * The names are those of cap_map_rs/src/seqlock.rs. The file mutants lists what can be broken
 * to see the claims fail.
 *
 * Claims, checked wherever they could change:
 *   meaning   each slot means what an abstract table says. The owner's write changes one slot
 *             of it, the flip of a batch all slots that still carry the expected badge. Staged,
 *             given up, normalised, and repaired words change nothing.
 *   unique    no badge is in two used slots
 *   carried   the badge that a removal returns is one that the slot carried during the call
 *   left out  a slot that a batch reports as rewritten got its badge by the flip
 *   hit       a look-up finds a slot that carried the badge during the call
 *   miss      a miss that counts: no slot carried the badge at an instant of the call, or the
 *             owner was about to change it
 *   snapshot  a consistent snapshot is the abstract table at an instant of its interval
 *   unchanged equal even sequence and equal generation: the abstract table was the same all along
 *   moved     a table that moved is the one that was
 *   quiet     monitors that honour `quiet` make at most one more attempt of a put fail
 *   own       whatever a hostile monitor writes, the owner's loops end within their bounds, and
 *             it finds no slot but one to which it gave a badge itself
 *   tidy      between the owner's operations nothing is announced, and the sequence is even
 */

/* the history, set by tests/spin/explore */
#ifndef WRITES
#define WRITES    1    /* of the owner */
#endif
#ifndef LOOKS
#define LOOKS     1    /* of each monitor at the table; each is a batch, or finds it claimed */
#endif
#ifndef DEATHS
#define DEATHS    0    /* of monitors */
#endif
#ifndef MONITORS
#define MONITORS  1
#endif
#ifndef DETACH
#define DETACH    0    /* 1: the owner detaches slots, too */
#endif
#ifndef MOVE
#define MOVE      0    /* 1: the owner moves the table at the end, or before */
#endif
#ifndef CRASH
#define CRASH     0    /* images of the memory, each of them taken up; a monitor per life */
#endif
#ifndef READER
#define READER    0    /* 1: a monitor that makes a snapshot */
#endif
#ifndef FINDER
#define FINDER    0    /* 1: a thread of the component that looks up a badge without the lock */
#endif
#ifndef UNSORTED
#define UNSORTED  0    /* 1: a batch names its slots in any order, so a monitor looks twice */
#endif
#ifndef QUIET
#define QUIET     0    /* 1: the owner asks for quiet, and monitors wait until it is over */
#endif
#ifndef HOSTILE
#define HOSTILE   0    /* arbitrary stores of a hostile monitor */
#endif
#ifndef BADGES
#define BADGES    3
#endif

/* bounds of loops; those of the code are larger */
#define ATTEMPTS  2               /* of a batch that the owner disturbs */
#define STORES    2               /* of a monitor to one slot that the owner changes */
#define READS     2               /* of one slot while batches are decided */
#define LOUD_PUTS 1               /* attempts of a put before it asks for quiet */
#define PUTS      (LOUD_PUTS + 1 + QUIET)

/* slot word: state, badge 0, badge 1 */
#define SLOTS     3
#define FREE      0
#define USED      2
#define DETACHED  3
#define WORD(state, b0, b1)   ((state) * 64 + (b0) * 8 + (b1))
#define STATE(w)              ((w) / 64)
#define BADGE0(w)             (((w) / 8) % 8)
#define BADGE1(w)             ((w) % 8)
#define BADGE(w, g)           ((g) % 2 -> BADGE1(w) : BADGE0(w))
#define EQUAL(w)              (BADGE0(w) == BADGE1(w))
/* the word with `new` as the badge that does not count under generation g */
#define STAGED(w, g, new) \
	((g) % 2 -> WORD(STATE(w), new, BADGE1(w)) : WORD(STATE(w), BADGE0(w), new))
#define BOTH(w, g)            WORD(STATE(w), BADGE(w, g), BADGE(w, g))
/* state and the badge that counts */
#define MEANS(w, g)           (STATE(w) == FREE -> 0 : STATE(w) * 8 + BADGE(w, g))
#define CARRIES(s, badge)     (abstract[s] == USED * 8 + (badge))
#define IS_USED(s)            (abstract[s] / 8 == USED)

byte slot[SLOTS];
/* the batch word: accessed as one, and its bank is the lowest bit of the generation */
bit  retired, claimed, undisturbed;
byte number, generation;
byte owner_seq, coming, high_water;
bit  quiet;

/* private to the owner: its index (badge filed for a slot), and which slots it gave a badge */
byte filed[SLOTS];
byte index_generation;
bit  given[SLOTS];

/* ghosts */
byte abstract[SLOTS];        /* what the slots mean */
byte operand, carried;       /* the slot of the operation in progress plus 1, its badges (bits) */
byte busy;                   /* badges that the operation in progress is about (bits) */
byte holder;                 /* of the claim */
bit  dead[MONITORS + 1], gone[MONITORS + 1];
byte deaths, images;
bit  changed;                /* since the reader loaded the sequence */
#if READER
#define INSTANTS (1 + WRITES + MONITORS * LOOKS)
#define TABLE    (abstract[0] + 32 * abstract[1] + 1024 * abstract[2])
short instant[INSTANTS];     /* the abstract table at each instant of the snapshot */
byte instants;
bit  copying;
#endif
#if FINDER
byte sought, hits;           /* the badge looked up, the slots that carried it (bits) */
bit  seeking, missing;
#endif

/* Under a hostile monitor, words mean anything. */
#define CLAIM(claim) assert(HOSTILE || (claim))

/* meaning, unique */
inline check() {
	CLAIM(MEANS(slot[0], generation) == abstract[0]);
	CLAIM(MEANS(slot[1], generation) == abstract[1]);
	CLAIM(MEANS(slot[2], generation) == abstract[2]);
	CLAIM(STATE(slot[0]) != USED || (abstract[0] != abstract[1] && abstract[0] != abstract[2]));
	CLAIM(STATE(slot[1]) != USED || abstract[1] != abstract[2])
}

#if FINDER
inline note_finder() {
	hits = hits | (CARRIES(0, sought) -> 1 : 0) | (CARRIES(1, sought) -> 2 : 0) |
	       (CARRIES(2, sought) -> 4 : 0);
	missing = missing | (busy >> sought & 1) |
	          (!CARRIES(0, sought) && !CARRIES(1, sought) && !CARRIES(2, sought))
}
#endif

#define BADGE_BIT(s) (abstract[s] -> 1 << (abstract[s] % 8) : 0)

/* the abstract table has changed */
inline note() {
	carried = carried | (operand -> BADGE_BIT(operand - 1) : 0);
#if READER
	if
	:: copying ->
		changed = true;
		assert(instants < INSTANTS);
		instant[instants] = TABLE;
		instants++
	:: else
	fi;
#endif
#if FINDER
	if
	:: seeking -> note_finder()
	:: else
	fi;
#endif
	check()
}

#include "owner.pml"
#include "monitor.pml"

#if READER
#define SAME_SEQUENCE   (owner_seq == sequence)
#define SAME_GENERATION (generation == g && !retired)

inline end_snapshot() {
	do
	:: instants > 0 ->
		instants--;
		was_there = was_there || (instant[instants] ==
			MEANS(copy[0], g) + 32 * MEANS(copy[1], g) + 1024 * MEANS(copy[2], g));
		instant[instants] = 0
	:: else -> break
	od;
	assert(!consistent || was_there);
	assert(!consistent || sequence % 2 || same);
	copying = false; changed = false;
	g = 0; sequence = 0; below = 0; copy[0] = 0; copy[1] = 0; copy[2] = 0;
	consistent = false; same = false; was_there = false
}

/* A snapshot that cannot become consistent any more ends here. */
inline copy_slot(s) {
	atomic {
		copy[s] = (s < below -> slot[s] : 0);
		if
		:: !SAME_SEQUENCE || !SAME_GENERATION -> end_snapshot(); goto over
		:: else
		fi
	}
}

proctype Reader() {
	byte g, sequence, below, copy[SLOTS];
	bit consistent, same, was_there;
	atomic { g = generation; copying = true; instant[0] = TABLE; instants = 1 };
	atomic { sequence = owner_seq; changed = false };
	below = high_water;
	copy_slot(0);
	copy_slot(1);
	copy_slot(2);
	atomic { consistent = SAME_SEQUENCE; same = !changed };
	atomic { consistent = (consistent && SAME_GENERATION); end_snapshot() };
over:
	skip
}
#endif

#if FINDER
/* an entry of the index leads to slot s: the slot's word decides */
inline probe(s) {
	if
	:: !found && (same_tag || filed[s] == sought) ->
		w = slot[s];
		if
		:: EQUAL(w) -> found = (STATE(w) == USED && BADGE0(w) == sought)
		:: else ->
			g = generation;
			w = slot[s];
			disturbed = disturbed || g != generation;
			found = (!disturbed && STATE(w) == USED && BADGE(w, g) == sought)
		fi;
		assert(!found || hits >> s & 1)
	:: else
	fi
}

/* without the lock; entries of other badges may have the same tag, or be left behind */
proctype Finder() {
	byte w, g, version;
	bit same_tag, found, disturbed;
	atomic {
		if
		:: sought = 1
		:: sought = 2
		:: sought = 3
		fi;
		if
		:: same_tag = false
		:: same_tag = true
		fi;
		seeking = true;
		note_finder()
	};
	version = index_generation;
	probe(0);
	probe(1);
	probe(2);
	atomic {
		assert(found || disturbed || generation != version || missing || busy >> sought & 1);
		seeking = false; sought = 0; hits = 0; missing = false;
		w = 0; g = 0; version = 0; same_tag = false; found = false; disturbed = false
	}
}
#endif

#if HOSTILE
proctype Hostile() {
	byte stores, at;
	do
	:: stores < HOSTILE ->
		atomic {
			stores++;
			if
			:: at = 0
			:: at = 1
			:: at = 2
			fi;
			if
			:: slot[at] = 0
			:: slot[at] = WORD(USED, 1, 1)
			:: slot[at] = WORD(USED, 2, 2)
			:: slot[at] = WORD(USED, 1, 3)
			:: slot[at] = WORD(DETACHED, 2, 1)
			:: slot[at] = WORD(1, 1, 2)
			:: at == 0 -> generation = 0
			:: at == 0 -> generation = 1
			:: at == 0 -> generation = 2
			:: at == 0 -> claimed = !claimed
			:: at == 0 -> undisturbed = !undisturbed
			:: at == 0 -> retired = !retired
			:: at == 0 -> number = 1 - number % 2
			:: at == 0 -> owner_seq = 1
			:: at == 0 -> coming = 1
			:: at == 0 -> high_water = 0
			:: at == 0 -> quiet = !quiet
			fi;
			at = 0
		}
	:: break
	od;
	stores = 0
}
#endif

init {
	byte i;
	atomic {
		slot[0] = WORD(USED, 1, 1);
		slot[1] = WORD(USED, 2, 2);
		abstract[0] = MEANS(slot[0], 0);
		abstract[1] = MEANS(slot[1], 0);
		filed[0] = 1;
		filed[1] = 2;
		given[0] = true;
		given[1] = true;
		high_water = 2;
		i = 1;
		do
		:: i <= MONITORS -> run Monitor(i); i++
		:: else -> break
		od;
		i = 0;
#if READER
		run Reader();
#endif
#if FINDER
		run Finder();
#endif
#if HOSTILE
		run Hostile();
#endif
		run Owner()
	}
}
