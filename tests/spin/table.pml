/*
 * Model of the table's protocol: write sections, batches, helping, recovery.
 *
 * Every access to shared memory is a step of its own (an atomic block with one
 * access, and what follows from it in local variables), so each process may be
 * stopped between any two of them, for good (killed) or until later (stopped
 * and continued): the checker explores all of it. A monitor may also die, and
 * the next one start where it left the table. The three words of the intent are
 * written and read as one: who reads them checks the control word afterwards. Memory is sequentially
 * consistent here; weak ordering is the business of tests/loom.
 *
 * The names are those of cap_map_rs/src/seqlock.rs and monitor/rewrite.rs. The
 * file mutants lists what can be broken to see the claims fail.
 *
 * Claims, checked in every reachable state:
 *   meaning   each slot means what an abstract table says, which changes all
 *             slots of a batch at its commit and one slot at an owner's write
 *   once      an owner's write takes effect exactly once, by its return
 *   tidy      outside of a batch no slot is staged
 */

#define SLOTS   2

/* the size of the history, set by tests/spin/explore */
#ifndef WRITES
#define WRITES  1    /* by the owner */
#endif
#ifndef LOOKS
#define LOOKS   2    /* of each monitor at the table: each begins a batch, or helps */
#endif
#ifndef DEATHS
#define DEATHS  1    /* of monitors */
#endif
#ifndef IDS
#define IDS     4    /* batch numbers before they repeat: 2^5 in reality */
#endif
#define LATE    6    /* transitions an owner tries before it overrules */

/* phases */
#define IDLE      0
#define WRITING   1
#define STAGING   2
#define COMMITTED 3
#define ABORTED   4

/* control word: phase, sequence, generation */
#define CONTROL(p, s, g)  ((p) + 8 * ((s) + 128 * (g)))
#define PHASE(c)          ((c) % 8)
#define SEQUENCE(c)       (((c) / 8) % 128)
#define GENERATION(c)     ((c) / 1024)
#define BATCH(c)          (((GENERATION(c) + 1) / 2) % IDS)
#define TO(c, p)          CONTROL(p, SEQUENCE(c) + 1, GENERATION(c))
#define ADVANCED(c, p, n) CONTROL(p, SEQUENCE(c) + 1, GENERATION(c) + (n))

/* slot word: used with badge and tag, or staged with both badges and batch */
#define USED(b, t)        ((b) + 16 * (t))
#define STAGED(o, n, i)   (4096 + (o) + 16 * (n) + 256 * (i))
#define IS_STAGED(w)      ((w) >= 4096)
#define BADGE(w)          ((w) % 16)
#define TAG(w)            ((w) / 16)
#define NEW(w)            (((w) / 16) % 16)
#define ID(w)             (((w) - 4096) / 256)

#define MEANS(w, c) \
	((IS_STAGED(w) && PHASE(c) == COMMITTED && ID(w) == BATCH(c)) -> NEW(w) : BADGE(w))

int   control;
int   slot[SLOTS];
int   intent_slot, intent_old, intent_new;
byte  announced[2];          /* by owner and monitor: batch number + 1 */

/* what the slots mean, and how often the write in progress took effect */
byte  abstract[SLOTS];
byte  effect;

byte  alive = 1;             /* the monitor that is */

#define OWNER   0
#define MONITOR 1

/* a dead monitor makes no step any more; the owner's number is 0 */
#define LIVE (me == 0 || me == alive)
#define SEAT (me > 0)

#define CHECK \
	assert(MEANS(slot[0], control) == abstract[0]); \
	assert(MEANS(slot[1], control) == abstract[1]); \
	assert(PHASE(control) >= STAGING || (!IS_STAGED(slot[0]) && !IS_STAGED(slot[1])))

/* compare-and-exchange of the control word */
inline exchange(old, new) {
	atomic {
		LIVE;
		ok = (control == (old));
		if
		:: ok -> control = new
		:: else
		fi;
		CHECK
	}
}

/* write of a slot by its owner, or by a helper in its name */
inline write_slot(at, old, new) {
	atomic {
		LIVE;
		if
		:: slot[at] == (old) ->
			slot[at] = new;
			abstract[at] = BADGE(new);
			effect++
		:: else
		fi;
		CHECK
	}
}

/* finish the write section of an owner that stopped */
inline complete(open) {
	atomic { LIVE; w0 = intent_slot; old_word = intent_old; new_word = intent_new };
	atomic { LIVE; ok = (control == open) };
	if
	:: ok ->
		write_slot(w0, old_word, new_word);
		exchange(open, TO(open, IDLE))
	:: else
	fi
}

/* roll one slot forward or back; again if it changes meanwhile */
inline resolve_slot(at, decided) {
	do
	:: atomic {
		LIVE;
		old_word = slot[at];
		new_word = old_word;
		if
		:: IS_STAGED(old_word) && ID(old_word) == BATCH(decided) ->
			new_word = USED(MEANS(old_word, decided), SEQUENCE(decided))
		:: !IS_STAGED(old_word) && PHASE(decided) == ABORTED && TAG(old_word) < SEQUENCE(decided) ->
			new_word = USED(BADGE(old_word), SEQUENCE(decided))
		:: else
		fi
	   };
	   if
	   :: new_word == old_word -> break
	   :: else
	   fi;
	   atomic {
		LIVE;
		ok = (slot[at] == old_word);
		if
		:: ok -> slot[at] = new_word
		:: else
		fi;
		CHECK
	   };
	   if
	   :: ok -> break
	   :: else
	   fi
	od
}

/* roll a decided batch forward or back, and close it */
inline resolve(decided) {
	atomic { LIVE; announced[SEAT] = BATCH(decided) + 1 };
	atomic { LIVE; ok = (control == decided) };
	if
	:: ok ->
		resolve_slot(0, decided);
		resolve_slot(1, decided)
	:: else
	fi;
	atomic { LIVE; announced[SEAT] = 0 };
	exchange(decided, TO(decided, IDLE))
}

/* the owner writes one slot */
inline publish(at, badge) {
	atomic { effect = 0; tries = 0 };
	do
	:: tries < LATE ->
		atomic { idle = control; tries++ };
		if
		:: PHASE(idle) == IDLE ->
			word = slot[at];
			atomic {
				intent_slot = at;
				intent_old = word;
				intent_new = USED(badge, SEQUENCE(idle) + 1)
			};
			exchange(idle, TO(idle, WRITING));
			if
			:: ok ->
				idle = TO(idle, WRITING);
				write_slot(at, word, USED(badge, SEQUENCE(idle)));
				exchange(idle, TO(idle, IDLE));
				assert(effect == 1);
				break
			:: else
			fi
		:: PHASE(idle) == STAGING ->
			/* whenever the wait for the monitor's decision ends */
			exchange(idle, ADVANCED(idle, ABORTED, 1))
		:: PHASE(idle) == COMMITTED || PHASE(idle) == ABORTED ->
			resolve(idle)
		:: else -> assert(false)          /* nobody else opens a section */
		fi
	:: else -> break                          /* only a hostile peer gets here */
	od;
	/* forgotten, so that the checker need not tell states apart by it */
	atomic { idle = 0; word = 0; old_word = 0; new_word = 0; tries = 0; ok = false }
}

proctype Owner(byte me) {
	int idle, word, old_word, new_word;
	byte tries, n, at;
	bool ok;
	do
	:: n < WRITES ->
		if
		:: at = 0
		:: at = 1
		fi;
		publish(at, 10 + 2 * n + at);
		n++
	:: else -> break
	od
}

/* the monitor puts a new badge beside the one it expects */
inline stage(at, expected, replacement) {
	atomic {
		LIVE;
		old_word = slot[at];
		good = (!IS_STAGED(old_word) && BADGE(old_word) == expected)
	};
	atomic { LIVE; good = (good && control == staging) };
	if
	:: good ->
		atomic {
			LIVE;
			if
			:: slot[at] == old_word -> slot[at] = STAGED(expected, replacement, BATCH(staging))
			:: else -> good = false
			fi;
			CHECK
		}
	:: else
	fi
}

/* one monitor at a time is alive; the ones before it died at some point */
proctype Monitor(byte me) {
	int idle, staging, decided, old_word, new_word;
	byte n, steps, w0, w1;
	bool ok, good;
	do
	:: n < LOOKS ->
		atomic { LIVE; n++; idle = control };
		if
		:: PHASE(idle) == IDLE ->
			/* a number that nobody announced */
			atomic {
				LIVE;
				steps = 1;
				do
				:: steps < 5 && (announced[0] == BATCH(ADVANCED(idle, STAGING, steps)) + 1 ||
				                 announced[1] == BATCH(ADVANCED(idle, STAGING, steps)) + 1) ->
					steps = steps + 2
				:: else -> break
				od;
				staging = ADVANCED(idle, STAGING, steps)
			};
			exchange(idle, staging);
			if
			:: ok ->
				/* swap the badges, or be refused half-way */
				atomic { LIVE; w0 = BADGE(slot[0]) };
				atomic { LIVE; w1 = BADGE(slot[1]) };
				stage(0, w0, w1);
				if
				:: good -> stage(1, w1, w0)
				:: good -> good = false      /* as if for another reason */
				:: else
				fi;
				if
				:: good -> decided = ADVANCED(staging, COMMITTED, 1)
				:: else -> decided = ADVANCED(staging, ABORTED, 1)
				fi;
				atomic {
					LIVE;
					ok = (control == staging);
					if
					:: ok && good ->
						control = decided;
						abstract[0] = w1;
						abstract[1] = w0
					:: ok && !good -> control = decided
					:: else
					fi;
					CHECK
				};
				if
				:: ok -> resolve(decided)
				:: else
				fi
			:: else
			fi
		:: PHASE(idle) == WRITING -> complete(idle)
		:: PHASE(idle) == STAGING -> exchange(idle, ADVANCED(idle, ABORTED, 1))
		:: else -> resolve(idle)
		fi;
		atomic {
			idle = 0; staging = 0; decided = 0; w0 = 0; w1 = 0; old_word = 0; new_word = 0;
			steps = 0; ok = false; good = false
		}
	:: else -> break
	od
}

/* kills the monitor between any two of its steps; the next one takes over */
proctype Killer() {
	do
	:: alive <= DEATHS -> alive++
	:: else -> break
	od
}

init {
	byte i;
	atomic {
		slot[0] = USED(1, 0);
		slot[1] = USED(2, 0);
		abstract[0] = 1;
		abstract[1] = 2;
		run Owner(0);
		i = 1;
		do
		:: i <= DEATHS + 1 -> run Monitor(i); i++
		:: else -> break
		od;
		i = 0;
		run Killer()
	}
}
