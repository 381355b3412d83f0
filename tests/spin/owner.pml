/*
 * The owner, under its private lock: puts, removals, look-ups, moves, and recovery.
 */

/* An image is taken before a step of the owner. Its monitor made its last step before: where it
   died it does nothing more, so no other order of the two makes other images. */
#if CRASH
#define OWNER \
	if \
	:: images < CRASH && gone[images + 1] -> images++; goto image \
	:: true \
	fi
#else
#define OWNER skip
#endif

/* what the index gets for a slot under generation g */
#define TO_FILE(s, g)   ((given[s] && STATE(slot[s]) == USED) -> BADGE(slot[s], g) : 0)
/* An entry may be left behind where a hostile monitor changed the badge of a slot. */
#define HOLDS(s, badge) (given[s] && filed[s] == (badge))

inline refresh() {
	atomic { OWNER; g = generation };
	if
	:: index_generation != g ->
		atomic { OWNER; filed[0] = TO_FILE(0, g) };
		atomic { OWNER; filed[1] = TO_FILE(1, g) };
		atomic { OWNER; filed[2] = TO_FILE(2, g) };
		index_generation = g
	:: else
	fi
}

/* one slot: the badge in x and the state in w, or `known` is false */
inline read_slot(s) {
	atomic { tries = 0; known = false };
	atomic { OWNER; w = slot[s]; x = BADGE0(w); known = EQUAL(w) };
	do
	:: known || tries == READS -> break
	:: else ->
		atomic { assert(tries < READS); tries++ };
		atomic { OWNER; g = generation };
		atomic { OWNER; w = slot[s]; x = BADGE(w, g) };
		atomic { OWNER; known = (generation == g) }
	od
}

inline write(s, state, badge) {
	if
	:: s >= high_water -> atomic { OWNER; high_water = s + 1 }
	:: else
	fi;
	atomic { OWNER; owner_seq++ };
	atomic {
		OWNER;
		slot[s] = WORD(state, badge, badge);
		abstract[s] = state * 8 + badge;
		note()
	};
	atomic { OWNER; owner_seq++ }
}

/* announce, break the attempt of a batch that has not looked at `coming`; may_write if the
   generation is still the index's */
inline begin_put(s, badge) {
	atomic { tries = 0; may_write = false };
	do
	:: may_write || tries == PUTS -> break
	:: else ->
		atomic { assert(tries < PUTS); tries++ };
		refresh();
		if
		:: HOLDS(0, badge) || HOLDS(1, badge) || HOLDS(2, badge) -> break   /* exists */
		:: else
		fi;
		atomic { OWNER; coming = badge };
		atomic { OWNER; undisturbed = false };
		atomic { OWNER; may_write = (generation == g) };
		if
		:: !may_write ->
			atomic { OWNER; coming = 0 };
#if QUIET
			/* at most one flip was under way when the owner asked for quiet */
			assert(tries < PUTS);
			if
			:: tries == LOUD_PUTS -> atomic { OWNER; quiet = true }
			:: else
			fi
#endif
		:: else
		fi
	od
}

inline settle_put() {
	atomic { OWNER; coming = 0 }
}

inline put(s, badge) {
	begin_put(s, badge);
	if
	:: may_write ->
		atomic {
			OWNER;
			busy = (1 << badge) | (1 << filed[s]);
			filed[s] = 0;
			given[s] = true
		};
		write(s, USED, badge);
		atomic { OWNER; filed[s] = badge };
		settle_put()
	:: else
	fi;
#if QUIET
	atomic { OWNER; quiet = false }
#endif
}

/* the slot is free or detached afterwards; the last reference of it is the same */
inline take_out(s, state) {
	read_slot(s);
	if
	:: known ->
		CLAIM(carried >> x & 1);
		atomic {
			OWNER;
			busy = (1 << x) | (1 << filed[s]);
			filed[s] = (filed[s] == x -> 0 : filed[s]);
			given[s] = false
		};
		if
		:: state == FREE -> write(s, FREE, 0)
		:: else -> write(s, DETACHED, x)
		fi
	:: else
	fi
}

#define COPIED(s) (s < high_water -> MEANS(slot[s], g) : 0)

inline retire() {
	atomic { OWNER; retired = true; g = generation };        /* fetch_or */
	atomic { OWNER; target[0] = COPIED(0) };
	atomic { OWNER; target[1] = COPIED(1) };
	atomic { OWNER; target[2] = COPIED(2) };
	/* moved: published at another place */
	CLAIM(target[0] == abstract[0] && target[1] == abstract[1] && target[2] == abstract[2]);
	moved = true
}

/* in another life: what is private is made anew from the table, the claim stays */
inline recover() {
	atomic { OWNER; coming = 0 };
	atomic { OWNER; quiet = false };
	atomic { OWNER; retired = false };
	atomic { OWNER; owner_seq = (owner_seq % 2 -> owner_seq : owner_seq + 1) + 1 };
	atomic { OWNER; g = generation };
	atomic { OWNER; given[0] = (STATE(slot[0]) == USED); filed[0] = TO_FILE(0, g) };
	atomic { OWNER; given[1] = (STATE(slot[1]) == USED); filed[1] = TO_FILE(1, g) };
	atomic { OWNER; given[2] = (STATE(slot[2]) == USED); filed[2] = TO_FILE(2, g) };
	index_generation = g
}

#if HOSTILE
/* a look-up under the lock */
inline find(badge) {
	atomic { tries = 0; known = false };
	do
	:: known || tries == READS -> break
	:: else ->
		atomic { assert(tries < READS); tries++ };
		refresh();
		atomic {
			s = (HOLDS(0, badge) -> 0 : (HOLDS(1, badge) -> 1 : (HOLDS(2, badge) -> 2 : SLOTS)));
			if
			:: s < SLOTS && STATE(slot[s]) == USED && BADGE(slot[s], g) == badge ->
				known = true;
				assert(IS_USED(s))
			:: else
			fi
		};
		if
		:: !known -> known = (generation == g)      /* a miss that counts */
		:: else
		fi
	od
}
#endif

inline finish_operation() {
	atomic {
		operand = 0; carried = 0; busy = 0;
		s = 0; x = 0; w = 0; g = 0; tries = 0; known = false; may_write = false;
		target[0] = 0; target[1] = 0; target[2] = 0
	}
}

/* between operations */
#define TIDY CLAIM(!coming && !quiet && (!retired || moved) && owner_seq % 2 == 0)

proctype Owner() {
	byte writes, s, x, w, g, tries, target[SLOTS];
	bit known, may_write, moved;
again:
	do
	:: writes < WRITES + images && !moved ->
		atomic {
			TIDY;
			writes++;
			if
			:: s = 0
			:: s = 1
			:: s = 2
			fi;
			operand = s + 1;
			carried = BADGE_BIT(s);
			if
			:: x = 0                        /* takes a badge out */
			:: x = 1
			:: x = 2
			:: x = 3
			:: BADGES > 3 -> x = 4
			fi
		};
		if
		:: x -> put(s, x)
		:: !x && abstract[s] -> take_out(s, FREE)
		:: DETACH && !x && IS_USED(s) -> take_out(s, DETACHED)
		:: !x && !abstract[s]
		fi;
#if HOSTILE
		x = 1;
		do
		:: x <= BADGES -> find(x); x++
		:: else -> break
		od;
#endif
		finish_operation()
	:: MOVE && !moved -> TIDY; retire()
	:: moved || (writes >= WRITES + images && !MOVE) -> break
	od;
	goto done;
image:
	finish_operation();
	recover();
	g = 0;
	goto again;
done:
	TIDY;
	finish_operation()
}
