/*
 * A monitor that rewrites badges in batches.
 */

/* A monitor may die before any of its steps. */
#if DEATHS
#define MONITOR \
	if \
	:: deaths < DEATHS -> deaths++; dead[me] = true; goto end \
	:: true \
	fi
#else
#define MONITOR skip
#endif

#define OURS         (claimed && number == ours && generation == g)
#define IS_NEW(b)    ((b) != 0 && ((b) == new[0] || (b) == new[1] || (b) == new[2]))
/* a badge that the batch takes from a slot has to be found there, so it comes nowhere else */
#define TAKES(b, s)  (new[s] && (b) == expected[s])
#define IS_COMING(b) (IS_NEW(b) && !TAKES(b, 0) && !TAKES(b, 1) && !TAKES(b, 2))
/* the word that staging made of the expected one */
#define IS_STAGED(s) (new[s] && w == STAGED(WORD(USED, expected[s], expected[s]), g, new[s]))

/* a claim by compare-and-exchange; that of a dead holder is taken over */
inline claim() {
	atomic {
		MONITOR;
		ok = !retired && (!claimed || dead[holder]);
		if
		:: ok ->
			claimed = true;
			undisturbed = true;
			number++;
			holder = me
		:: else
		fi;
		ours = number;
		g = generation
	}
}

/* the owner changes a slot now and then, but not more often than it wins */
inline exchange(s) {
	atomic {
		MONITOR;
		ok = (slot[s] == w);
		if
		:: ok -> slot[s] = next; check()
		:: else
		fi
	};
	atomic { tries++; refused = refused || (!ok && tries == STORES) }
}

inline stage(s) {
	atomic { tries = 0; ok = false };
	do
	:: ok || refused -> break
	:: else ->
		atomic {
			MONITOR;
			w = slot[s];
			refused = (STATE(w) != USED || BADGE(w, g) != expected[s])
		};
		if
		:: !refused -> next = STAGED(w, g, new[s]); exchange(s)
		:: else
		fi
	od
}

/* whether a new badge is elsewhere; and repairs what batches before left */
inline scan(s) {
	atomic { tries = 0; ok = false };
	do
	:: ok || refused -> break
	:: else ->
		atomic {
			MONITOR;
			w = slot[s];
			ok = (STATE(w) != USED || IS_STAGED(s));
			refused = (!ok && IS_NEW(BADGE(w, g)));
			ok = ok || (!refused && EQUAL(w))
		};
		if
		:: !ok && !refused -> next = BOTH(w, g); exchange(s)
		:: else
		fi
	od
}

/* the instant of the batch */
inline flip() {
	atomic {
		MONITOR;
		ok = (OURS && undisturbed && !retired);
		if
		:: ok ->
			CLAIM(!retired);
			generation++;
			at = 0;
			do
			:: at < SLOTS ->
				flipped[at] = (new[at] && CARRIES(at, expected[at]));
				abstract[at] = (flipped[at] -> USED * 8 + new[at] : abstract[at]);
				at++
			:: else -> break
			od;
			note()
		:: else
		fi
	}
}

/* one attempt of a batch: decided, refused, or disturbed by the owner */
inline attempt() {
	atomic { MONITOR; announced = coming; refused = refused || IS_COMING(announced) };
	/* behind `coming`, as the owner raises it before it says that nothing comes any more */
	atomic { MONITOR; below = high_water };
	at = 0;
	do
	:: at < SLOTS && !refused ->
		if
		:: new[at] -> stage(at)
		:: !new[at] && !UNSORTED && at < below -> scan(at)
		:: else
		fi;
		at++
	:: else -> break
	od;
#if UNSORTED
	at = 0;
	do
	:: at < below && !refused -> scan(at); at++
	:: else -> break
	od;
#endif
	ok = false;
	if
	:: !refused -> flip()
	:: else
	fi
}

/* makes the badges of a slot equal; a slot that it finds otherwise, it reports as left out */
inline settle(s) {
	atomic {
		MONITOR;
		w = slot[s];
		ok = (IS_STAGED(s) && !EQUAL(w))
	};
	if
	:: ok ->
		CLAIM(flipped[s]);
		atomic {
			MONITOR;
			if
			:: slot[s] == w -> slot[s] = WORD(USED, new[s], new[s]); check()
			:: else
			fi
		}
	:: else
	fi
}

inline release() {
	atomic {
		MONITOR;
		if
		:: claimed && number == ours -> claimed = false
		:: else
		fi
	}
}

/* the next attempt, if the claim is still ours */
inline renew() {
	atomic {
		MONITOR;
		refused = (!OURS || retired);
		undisturbed = (refused -> undisturbed : 1)
	}
}

/* exchanges two badges, or gives a slot another one. What a caller expects is none of the
   protocol's accesses. */
inline batch() {
	atomic {
		at = 0;
		do
		:: at < SLOTS -> expected[at] = (STATE(slot[at]) == USED -> BADGE(slot[at], g) : 0); at++
		:: else -> break
		od;
		if
		:: expected[0] && expected[1] -> new[0] = expected[1]; new[1] = expected[0]
		:: expected[1] && expected[2] -> new[1] = expected[2]; new[2] = expected[1]
		:: expected[0] -> new[0] = 1
		:: expected[0] -> new[0] = 2
		:: expected[0] -> new[0] = 3
		:: expected[1] -> new[1] = 1
		:: expected[1] -> new[1] = 3
		:: else
		fi
	}
}

inline forget() {
	atomic {
		g = 0; ours = 0; w = 0; next = 0; announced = 0; below = 0; tries = 0; attempts = 0; at = 0;
		expected[0] = 0; expected[1] = 0; expected[2] = 0; new[0] = 0; new[1] = 0; new[2] = 0;
		flipped[0] = 0; flipped[1] = 0; flipped[2] = 0; ok = false; refused = false
	}
}

proctype Monitor(byte me) {
	byte looks, g, ours, w, next, announced, below, tries, attempts, at;
	byte expected[SLOTS], new[SLOTS];
	bit ok, refused, flipped[SLOTS];
end_of_no_life:
	(!CRASH || images >= me - 1);
	do
	:: looks < LOOKS ->
		looks++;
		claim();
		if
		:: ok ->
			batch();
			do
			:: !QUIET || !quiet ->
				if
				:: attempts -> renew()
				:: else
				fi;
				attempts++;
				attempt();
				if
				:: ok || refused || attempts == ATTEMPTS -> break
				:: else
				fi
			od;
			if
			:: ok -> settle(0); settle(1); settle(2)
			:: else
			fi;
			release()
		:: else
		fi;
		forget()
	:: else -> break
	od;
end:
	atomic { forget(); looks = 0; gone[me] = true }
}
