/*
 * Model of the table's protocol: write sections, batches, helping, recovery.
 *
 * Every access to shared memory is a step of its own, so each process may be
 * stopped between any two of them, for good (killed) or until later (stopped
 * and continued): the checker explores all of it. A monitor may also die, and
 * the next one start where it left the table. Memory is sequentially
 * consistent here; weak ordering is the business of tests/loom.
 *
 * The names are those of cap_map_rs/src/protocol.rs and rewrite.rs. The
 * file mutants lists what tests/spin/run breaks to see the claims fail.
 *
 * Claims, checked in every reachable state:
 *   meaning   each slot means what an abstract table says, which changes all
 *             slots of a batch at its commit and one slot at an owner's write
 *   once      an owner's write takes effect exactly once, by its return
 *   tidy      outside of a batch no slot is staged
 */

#define SLOTS   2
#define WRITES  2    /* by the owner */
#define BATCHES 2    /* looks of each monitor at the table; a look begins a batch or helps */
#define IDS     4    /* batch numbers before they repeat: 2^5 in reality */
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

byte  alive = 2;             /* process number of the monitor that is */

#define OWNER   0
#define MONITOR 1

#define CHECK \
	assert(MEANS(slot[0], control) == abstract[0]); \
	assert(MEANS(slot[1], control) == abstract[1]); \
	assert(PHASE(control) >= STAGING || (!IS_STAGED(slot[0]) && !IS_STAGED(slot[1])))

/* compare-and-exchange of the control word */
inline exchange(old, new, success) {
	atomic {
		if
		:: control == (old) ->
			control = new;
			success = true
		:: else -> success = false
		fi;
		CHECK
	}
}

/* write of a slot by its owner, or by a helper in its name */
inline write_slot(at, old, new) {
	atomic {
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
	c_slot = intent_slot; c_old = intent_old; c_new = intent_new;
	read = control;
	if
	:: read == open ->
		write_slot(c_slot, c_old, c_new);
		exchange(open, TO(open, IDLE), ok)
	:: else
	fi
}

/* roll one slot forward or back; again if it changes meanwhile */
inline resolve_slot(at, decided) {
	again = true;
	do
	:: again ->
		old_word = slot[at];
		if
		:: IS_STAGED(old_word) && ID(old_word) == BATCH(decided) ->
			new_word = USED(MEANS(old_word, decided), SEQUENCE(decided))
		:: !IS_STAGED(old_word) && PHASE(decided) == ABORTED && TAG(old_word) < SEQUENCE(decided) ->
			new_word = USED(BADGE(old_word), SEQUENCE(decided))
		:: else -> new_word = old_word
		fi;
		atomic {
			if
			:: slot[at] == old_word ->
				slot[at] = new_word;
				again = false
			:: else
			fi;
			CHECK
		}
	:: else -> break
	od
}

/* roll a decided batch forward or back, and close it */
inline resolve(decided, seat) {
	announced[seat] = BATCH(decided) + 1;
	read = control;
	if
	:: read == decided ->
		resolve_slot(0, decided);
		resolve_slot(1, decided)
	:: else
	fi;
	announced[seat] = 0;
	exchange(decided, TO(decided, IDLE), ok)
}

/* the owner writes one slot */
inline publish(at, badge) {
	effect = 0;
	tries = 0;
	do
	:: idle = control;
		if
		:: PHASE(idle) == IDLE ->
			word = slot[at];
			intent_slot = at;
			intent_old = word;
			intent_new = USED(badge, SEQUENCE(idle) + 1);
			exchange(idle, TO(idle, WRITING), ok);
			if
			:: ok ->
				idle = TO(idle, WRITING);
				write_slot(at, word, USED(badge, SEQUENCE(idle)));
				exchange(idle, TO(idle, IDLE), ok);
				break
			:: else
			fi
		:: PHASE(idle) == STAGING ->
			/* whenever the wait for the monitor's decision ends */
			exchange(idle, ADVANCED(idle, ABORTED, 1), ok)
		:: PHASE(idle) == COMMITTED || PHASE(idle) == ABORTED ->
			resolve(idle, OWNER)
		:: else -> assert(false)          /* nobody else opens a section */
		fi;
		tries++;
		/* not overruled here: that is for hostile peers only */
		if
		:: tries == LATE -> goto stuck
		:: else
		fi
	od;
	assert(effect == 1);
	/* forgotten, so that the checker need not tell states apart by it */
	idle = 0; word = 0; old_word = 0; new_word = 0; read = 0; tries = 0; ok = false; again = false
}

proctype Owner() {
	int idle, word, old_word, new_word, read;
	byte tries, n, at;
	bool ok, again;
	do
	:: n < WRITES ->
		if
		:: at = 0
		:: at = 1
		fi;
		publish(at, 10 + 2 * n + at);
		n++
	:: else -> break
	od;
stuck:
	skip
}

/* the monitor puts a new badge beside the one it expects */
inline stage(at, expected, replacement) {
	old_word = slot[at];
	read = control;
	if
	:: read == staging && !IS_STAGED(old_word) && BADGE(old_word) == expected ->
		atomic {
			if
			:: slot[at] == old_word -> slot[at] = STAGED(expected, replacement, BATCH(staging))
			:: else -> good = false
			fi;
			CHECK
		}
	:: else -> good = false
	fi
}

/* one monitor at a time is alive; the ones before it died at some point */
proctype Monitor() provided (_pid == alive) {
	int idle, staging, decided, w0, w1, old_word, new_word, read, c_slot, c_old, c_new;
	byte n, steps;
	bool ok, good, again;
	do
	:: n < BATCHES ->
		n++;
		idle = control;
		if
		:: PHASE(idle) == IDLE ->
			/* a number that nobody announced */
			steps = 1;
			atomic {
				do
				:: steps < 5 && (announced[0] == BATCH(ADVANCED(idle, STAGING, steps)) + 1 ||
				                 announced[1] == BATCH(ADVANCED(idle, STAGING, steps)) + 1) ->
					steps = steps + 2
				:: else -> break
				od
			};
			staging = ADVANCED(idle, STAGING, steps);
			exchange(idle, staging, ok);
			if
			:: ok ->
				/* swap the badges, or be refused half-way */
				good = true;
				w0 = BADGE(slot[0]);
				w1 = BADGE(slot[1]);
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
					if
					:: control == staging ->
						control = decided;
						if
						:: good ->
							abstract[0] = w1;
							abstract[1] = w0
						:: else
						fi;
						ok = true
					:: else -> ok = false
					fi;
					CHECK
				};
				if
				:: ok -> resolve(decided, MONITOR)
				:: else
				fi
			:: else
			fi
		:: PHASE(idle) == WRITING -> complete(idle)
		:: PHASE(idle) == STAGING -> exchange(idle, ADVANCED(idle, ABORTED, 1), ok)
		:: else -> resolve(idle, MONITOR)
		fi;
		idle = 0; staging = 0; decided = 0; w0 = 0; w1 = 0; old_word = 0; new_word = 0; read = 0;
		c_slot = 0; c_old = 0; c_new = 0; steps = 0; ok = false; good = false; again = false
	:: else -> break
	od
}

/* kills the monitor between any two of its steps; the next one takes over */
proctype Killer() {
	alive = 3;
	alive = 4
}

init {
	atomic {
		slot[0] = USED(1, 0);
		slot[1] = USED(2, 0);
		abstract[0] = 1;
		abstract[1] = 2;
		run Owner();
		run Monitor();
		run Monitor();
		run Monitor();
		run Killer()
	}
}
