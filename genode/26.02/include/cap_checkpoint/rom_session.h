/*
 * \brief  ROM session of a component that can be checkpointed
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__ROM_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__ROM_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/server_session.h>
#include <cap_checkpoint/session_memory.h>
#include <rom_session/client.h>

namespace Cap_checkpoint {

	class Rom_source;
	class Rom_service_session;
}


/**
 * Where the content of a ROM session comes from
 */
class Cap_checkpoint::Rom_source : Noncopyable
{
	private:

		Constructible<Server_session> _server { };

		Rom_dataspace_capability _ds { };

		auto _client() const
		{
			return Rom_session_client(static_cap_cast<Rom_session>(_server->cap()));
		}

	public:

		Rom_source(Env &, Session_policy::Rom const &);

		/**
		 * Return false if the session is denied
		 */
		bool valid() const { return !_server.constructed() || _server->cap().valid(); }

		Open_session::Costs surcharge() const
		{
			return _server.constructed() ? _server->surcharge
			                             : Open_session::Costs { { 0 }, { 0 } };
		}

		/**
		 * Dataspace with the content, invalid if there is none
		 */
		Rom_dataspace_capability ds() const { return _ds; }

		/**
		 * Obtain the newest content, the dataspace before may vanish
		 */
		void renew()
		{
			if (_server.constructed())
				_ds = _client().dataspace();
		}

		void sigh(Signal_context_capability cap)
		{
			if (_server.constructed())
				_client().sigh(cap);
		}
};


/**
 * ROM session
 *
 * The component has the dataspace of the server until it registers a handler for
 * changes. From then on, it gets copies, which are part of an image. The server tells the
 * component itself that there is something new.
 */
class Cap_checkpoint::Rom_service_session : public Open_session, public Rpc_object<Rom_session>
{
	public:

		using Name = Session_label;

	private:

		Entrypoint    &_ep;
		Env::Local_rm &_local_rm;
		Virtual_pd    &_pd;

		Rom_source _source;

		bool           _hashed = false;
		Sha256::Digest _hash { };

		Signal_context_capability _sigh { };

		/* the component wants to know about changes, or there is no content yet */
		bool _dynamic = false;

		Constructible<Session_memory> _copy { };

		bool _provide_copy(size_t);
		bool _copy_content();
		void _release_original();
		bool _compute_hash();

		/*
		 * Noncopyable
		 */
		Rom_service_session(Rom_service_session const &);
		Rom_service_session &operator = (Rom_service_session const &);

	public:

		Name const name;

		/* dataspace of the server, if the component may have it */
		Dataspace *ds = nullptr;

		/**
		 * Constructor
		 *
		 * \param name  as told by the component, for messages
		 */
		Rom_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
		                    Session_policy::Rom const &source, Name const &name,
		                    Id_space<Open_session> &space, Request const &request);

		~Rom_service_session();

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return _source.valid() && (ds || _copy.constructed()); }

		/**
		 * Call 'fn' with the hash over the module, which is computed once
		 */
		bool with_hash(auto const &fn)
		{
			if (!_hashed)
				_hashed = _compute_hash();
			if (_hashed)
				fn(_hash);
			return _hashed;
		}


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override { return _source.surcharge(); }

		Rom_service_session *rom_session() override
		{
			return _dynamic ? nullptr : this;
		}

		Signal_context_capability handler(uint32_t part) const override
		{
			return part ? Signal_context_capability() : _sigh;
		}

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			if (!part)
				sigh(cap);
		}

		Dataspace *memory(uint32_t part) override
		{
			return part || !_dynamic ? nullptr : ds ? ds : _copy.constructed() ? _copy->ds() : nullptr;
		}

		Dataspace *provide_memory(uint32_t part, size_t) override;

		void after_restore() override;


		/***************************
		 ** Rom_session interface **
		 ***************************/

		Rom_dataspace_capability dataspace() override;

		bool update() override;

		void sigh(Signal_context_capability) override;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__ROM_SESSION_H_ */
