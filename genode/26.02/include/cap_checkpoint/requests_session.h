/*
 * \brief  ROM session with the requests for sessions that a component provides
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__REQUESTS_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__REQUESTS_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/offer.h>
#include <cap_checkpoint/session_memory.h>
#include <rom_session/rom_session.h>

namespace Cap_checkpoint { class Requests_service_session; }


/**
 * ROM session "session_requests"
 *
 * The content is the one of the moment at which the component looks. The memory has
 * room for what is known of the sessions, too, as part of the image. If the component has
 * several ROM sessions of this kind, each tells the same, and the first one is used for the image.
 */
class Cap_checkpoint::Requests_service_session : public Open_session,
                                                 public Rpc_object<Rom_session>,
                                                 private Offer::Notify
{
	public:

		enum Part : uint32_t { CONTENT, STATE };

		/* requests that do not fit are told once others are answered */
		static constexpr size_t CONTENT_SIZE = 16*1024,
		                        STATE_SIZE   = align_addr(sizeof(Offer_state), AT_PAGE);

	private:

		Entrypoint &_ep;
		Virtual_pd &_pd;
		Offer      *_offer;  /* nullptr if the component has nobody to offer anything to */

		Session_memory _content;
		Session_memory _state;

		Signal_context_capability _sigh { };

		void _generate();

		/* Offer::Notify */
		void requests_changed() override;

		/*
		 * Noncopyable
		 */
		Requests_service_session(Requests_service_session const &);
		Requests_service_session &operator = (Requests_service_session const &);

	public:

		Requests_service_session(Env &, Entrypoint &, Virtual_pd &, Offer *,
		                         Id_space<Open_session> &, Request const &);

		~Requests_service_session();

		bool valid() const { return _content.valid() && _state.valid(); }

		Offer_state &state() { return *(Offer_state *)_state.start(); }


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Signal_context_capability handler(uint32_t part) const override
		{
			return part ? Signal_context_capability() : _sigh;
		}

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			if (!part)
				_sigh = cap;
		}

		Dataspace *memory(uint32_t part) override
		{
			return part == CONTENT ? _content.ds() :
			       part == STATE   ? _state.ds()   : nullptr;
		}

		void after_restore() override;

		Requests_service_session *requests_session() override { return this; }


		/***************************
		 ** Rom_session interface **
		 ***************************/

		Rom_dataspace_capability dataspace() override
		{
			_generate();
			return static_cap_cast<Rom_dataspace>(_content.ds()->cap);
		}

		bool update() override
		{
			_generate();
			return true;
		}

		void sigh(Signal_context_capability cap) override { _sigh = cap; }
};

#endif /* _INCLUDE__CAP_CHECKPOINT__REQUESTS_SESSION_H_ */
