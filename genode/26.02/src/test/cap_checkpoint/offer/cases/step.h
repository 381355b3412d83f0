/*
 * \brief  What happens between the lives of a server that has a client
 * \date   2026-12-01
 *
 * Each case leaves no session behind, and the server at its end.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _STEP_H_
#define _STEP_H_

/* local includes */
#include <mood_session.h>

namespace Test {

	enum class What;
	struct Step;
	struct Case;
}


/*
 * START:        start the server anew
 * SAVE:         save it, and let it go on
 * LEAVE:        save it, and end it where it was saved
 * END:          end it
 * FORGET:       clients are not those of the image, as in another system
 * AHEAD:        begin with a restore, as ahead of a move
 * PREPARE:      restore it but for the start of its threads
 * GIVE_UP:      end what was begun or prepared
 * GO_ON:        start what was prepared
 * BESIDE:       create another child with the same offer, and end it
 * OFFERED:      the policy has an offer, or not
 * DO:           let the client do something, and wait for the result
 * BEGIN:        let the client do something
 * AWAIT:        wait for the result of what was begun
 * STILL_WAITS:  there is no result
 * SETTLED:      wait until the server was asked for nothing more, and has some number of clients
 */
enum class Test::What { NONE, START, SAVE, LEAVE, END, FORGET, AHEAD, PREPARE, GIVE_UP, GO_ON,
                        BESIDE, OFFERED, DO, BEGIN, AWAIT, STILL_WAITS, SETTLED };


struct Test::Step
{
	What        what   = What::NONE;
	char const *text   = "";  /* action of the client, or result to wait for */
	unsigned    number = 0;   /* of the session, or of clients */
	size_t      value  = 0;
	char const *result = "ok";
};


struct Test::Case
{
	char const *name;
	bool        reopen;  /* sessions are opened again by themselves */
	Step        steps[24];

	unsigned num_steps() const
	{
		unsigned n = 0;
		while (n < sizeof(steps)/sizeof(Step) && steps[n].what != What::NONE)
			n++;
		return n;
	}

	static void for_each(auto const &fn);
};


void Test::Case::for_each(auto const &fn)
{
	using W = What;
	using M = Mood_session;

	static constexpr size_t RAM = 64*1024, MUCH_RAM = 1024*1024;

	static constexpr unsigned A = 0, B = 1;

	static Case const cases[] {

		{ "begun and given up", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "call", A, 0, "right" },
			{ W::LEAVE }, { W::FORGET }, { W::AHEAD },
			{ W::DO, "call", A, 0, "lost" }, { W::DO, "upgrade", A, RAM }, { W::DO, "close", A },
			{ W::BEGIN, "open", B, RAM }, { W::GIVE_UP }, { W::STILL_WAITS },
			{ W::PREPARE }, { W::STILL_WAITS }, { W::GO_ON }, { W::AWAIT, "ok" },
			{ W::DO, "call", B, 0, "right" }, { W::SETTLED, "", 1 },
			{ W::DO, "close", B } } },

		{ "opened again behind what was given up", true, {
			{ W::START }, { W::DO, "open", A, MUCH_RAM }, { W::LEAVE }, { W::FORGET },
			{ W::AHEAD }, { W::GIVE_UP }, { W::PREPARE }, { W::GIVE_UP }, { W::PREPARE }, { W::GO_ON },
			{ W::SETTLED, "", 1 }, { W::DO, "call", A, 0, "right" }, { W::DO, "close", A } } },

		{ "closed while its server is begun", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "sigh", A }, { W::DO, "signal", A },
			{ W::LEAVE }, { W::AHEAD }, { W::DO, "close", A }, { W::GIVE_UP }, { W::PREPARE }, { W::GO_ON },
			{ W::SETTLED, "", 0 },
			{ W::DO, "open", B, RAM }, { W::DO, "call", B, 0, "right" }, { W::DO, "close", B } } },

		{ "closed while its server is prepared", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "sigh", A }, { W::DO, "signal", A },
			{ W::LEAVE }, { W::PREPARE }, { W::BEGIN, "close", A }, { W::STILL_WAITS }, { W::GO_ON },
			{ W::AWAIT, "ok" }, { W::SETTLED, "", 0 },
			{ W::DO, "open", B, RAM }, { W::DO, "call", B, 0, "right" }, { W::DO, "close", B } } },

		{ "closed while its server is prepared, and given up", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::LEAVE }, { W::PREPARE },
			{ W::BEGIN, "close", A }, { W::STILL_WAITS }, { W::GIVE_UP }, { W::AWAIT, "ok" },
			{ W::PREPARE }, { W::GO_ON } } },

		{ "closed while another life of its server is prepared", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "sigh", A }, { W::DO, "signal", A },
			{ W::LEAVE }, { W::FORGET }, { W::PREPARE }, { W::DO, "close", A }, { W::GO_ON },
			{ W::SETTLED, "", 0 },
			{ W::DO, "open", B, RAM }, { W::DO, "call", B, 0, "right" }, { W::DO, "close", B } } },

		{ "denied", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::DENY },
			{ W::DO, "open", B, MUCH_RAM, "denied" }, { W::SETTLED, "", 1 },
			{ W::DO, "open", B, RAM }, { W::DO, "close", B }, { W::DO, "close", A } } },

		{ "denied when it is opened again", true, {
			{ W::START }, { W::DO, "open", A, MUCH_RAM }, { W::DO, "mood", A, M::DENY }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::GO_ON }, { W::SETTLED, "", 1 },
			{ W::DO, "call", A, 0, "lost" }, { W::DO, "upgrade", A, RAM }, { W::DO, "close", A } } },

		{ "denied by a server that keeps what it got", true, {
			{ W::START }, { W::DO, "open", A, MUCH_RAM }, { W::DO, "open", B, RAM },
			{ W::DO, "mood", A, M::KEEP }, { W::LEAVE }, { W::FORGET }, { W::PREPARE }, { W::GO_ON },
			{ W::SETTLED, "", 2 },
			{ W::DO, "call", A, 0, "lost" }, { W::BEGIN, "close", A }, { W::STILL_WAITS },
			{ W::LEAVE }, { W::PREPARE }, { W::GO_ON }, { W::STILL_WAITS },
			{ W::LEAVE }, { W::FORGET }, { W::AWAIT, "ok" }, { W::DO, "close", B },
			{ W::PREPARE }, { W::GO_ON } } },

		{ "denied by a server that returns later what it got", true, {
			{ W::START }, { W::DO, "open", A, MUCH_RAM }, { W::DO, "open", B, RAM },
			{ W::DO, "mood", A, M::KEEP }, { W::LEAVE }, { W::FORGET }, { W::PREPARE }, { W::GO_ON },
			{ W::SETTLED, "", 2 }, { W::DO, "free", B }, { W::DO, "upgrade", B, RAM },
			{ W::DO, "call", A, 0, "lost" }, { W::DO, "close", A },
			{ W::DO, "call", B, 0, "right" }, { W::DO, "close", B } } },

		{ "upgraded between two lives", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::LEAVE }, { W::BEGIN, "upgrade", A, RAM },
			{ W::STILL_WAITS }, { W::PREPARE }, { W::GO_ON }, { W::AWAIT, "ok" },
			{ W::DO, "call", A, 0, "right" }, { W::DO, "close", A } } },

		{ "upgraded when its server is lost", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::LEAVE }, { W::BEGIN, "upgrade", A, RAM },
			{ W::STILL_WAITS }, { W::FORGET }, { W::AWAIT, "ok" }, { W::DO, "call", A, 0, "lost" },
			{ W::DO, "close", A } } },

		{ "closed while it is opened again", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::LATE }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::GO_ON }, { W::DO, "close", A } } },

		{ "closed while it is opened again, and denied", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::LATE_DENY }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::GO_ON }, { W::DO, "close", A } } },

		{ "upgraded while it is opened again", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::LATE }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::DO, "upgrade", A, MUCH_RAM }, { W::GO_ON },
			{ W::DO, "upgrade", A, RAM }, { W::DO, "call", A, 0, "lost" }, { W::SETTLED, "", 1 },
			{ W::DO, "call", A, 0, "right" }, { W::DO, "close", A } } },

		{ "saved while a session is opened again", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::LATE }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::GO_ON }, { W::LEAVE }, { W::DO, "call", A, 0, "lost" },
			{ W::PREPARE }, { W::GO_ON }, { W::SETTLED, "", 1 },
			{ W::DO, "call", A, 0, "right" }, { W::DO, "close", A } } },

		{ "no object of the server", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::FOREIGN },
			{ W::DO, "open", B, RAM, "denied" }, { W::SETTLED, "", 1 }, { W::DO, "close", A } } },

		{ "no object of the server when it is opened again", true, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::FOREIGN }, { W::LEAVE },
			{ W::FORGET }, { W::PREPARE }, { W::GO_ON }, { W::SETTLED, "", 1 },
			{ W::DO, "call", A, 0, "lost" }, { W::DO, "close", A } } },

		{ "offered, or not any more, while the server runs", false, {
			{ W::OFFERED, "", 0 }, { W::START }, { W::BEGIN, "open", A, RAM }, { W::OFFERED, "", 1 },
			{ W::SAVE }, { W::STILL_WAITS }, { W::END }, { W::START }, { W::AWAIT, "ok" },
			{ W::OFFERED, "", 0 }, { W::SAVE }, { W::DO, "call", A, 0, "right" }, { W::LEAVE },
			{ W::OFFERED, "", 1 }, { W::PREPARE }, { W::GO_ON }, { W::DO, "call", A, 0, "right" },
			{ W::DO, "close", A } } },

		{ "another child beside the server", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::BESIDE }, { W::DO, "call", A, 0, "right" },
			{ W::DO, "close", A } } },

		{ "asked for under an ID that the image has", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::SAVE }, { W::DO, "close", A }, { W::END },
			{ W::START }, { W::END }, { W::BEGIN, "open", B, RAM }, { W::STILL_WAITS }, { W::PREPARE },
			{ W::GO_ON }, { W::AWAIT, "ok" }, { W::DO, "call", B, 0, "right" }, { W::SETTLED, "", 1 },
			{ W::DO, "close", B } } },

		{ "about to be closed when its server leaves", false, {
			{ W::START }, { W::DO, "open", A, RAM }, { W::DO, "mood", A, M::LATE_CLOSE },
			{ W::BEGIN, "close", A }, { W::STILL_WAITS }, { W::LEAVE }, { W::AWAIT, "ok" },
			{ W::PREPARE }, { W::GO_ON } } },
	};

	for (Case const &c : cases)
		fn(c);
}

#endif /* _STEP_H_ */
