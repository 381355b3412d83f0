/*
 * \brief  What an image says about the sessions that a component provides
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__OFFER_STATE_H_
#define _INCLUDE__CAP_CHECKPOINT__OFFER_STATE_H_

/* Genode includes */
#include <cap_checkpoint/proxy.h>
#include <util/string.h>

namespace Cap_checkpoint { struct Offer_state; }


/**
 * What an image says about the sessions that the component provides
 *
 * It is memory of the component's ROM session "session_requests". A restore takes it as a claim.
 */
struct Cap_checkpoint::Offer_state
{
	static constexpr unsigned MAX_SERVICES = 4, MAX_SESSIONS = 32;

	/* more RAM or capabilities than there can be, so that sums do not wrap */
	static constexpr uint64_t MAX_QUOTA = ~0UL/(2*MAX_SESSIONS);

	/* IDs that follow are not handed out, so that none comes twice */
	static constexpr uint64_t MAX_ID = 1UL << 31;

	using Name = String<32>;
	using Args = String<160>;

	struct Session
	{
		/* one that is OVER has not returned yet what the client has donated */
		enum Stage : uint32_t { NONE, CREATE, OPEN, UPGRADE, CLOSE, OVER };

		uint64_t id;       /* by which the component and its parent name the session */
		uint32_t stage;    /* what the component was asked for, and has not answered */
		uint32_t server;   /* number of the thread that owes the client a reply, or NONE */
		uint64_t ram;      /* bytes that the client has donated, upgrades included */
		uint64_t caps;
		uint64_t more_ram; /* of the upgrade that is not answered */
		uint64_t more_caps;
		char     service[32];
		char     args[160];
		uint64_t zero;
		uint32_t gates[Proxy::MAX_OBJECTS]; /* numbers of the gates for the client, or NONE */
	};

	static_assert(sizeof(Session) == 280 && Proxy::MAX_OBJECTS == 8);

	/**
	 * Return true if there may be such a state, except for who owes replies
	 */
	bool plausible() const;

	uint64_t stamp;    /* tells one state of the component from all others */
	uint64_t next_id;
	char     services[MAX_SERVICES][32];
	Session  sessions[MAX_SESSIONS];
};

#endif /* _INCLUDE__CAP_CHECKPOINT__OFFER_STATE_H_ */
