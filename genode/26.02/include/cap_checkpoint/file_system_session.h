/*
 * \brief  File_system session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _INCLUDE__CAP_CHECKPOINT__FILE_SYSTEM_SESSION_H_
#define _INCLUDE__CAP_CHECKPOINT__FILE_SYSTEM_SESSION_H_

/* Genode includes */
#include <cap_checkpoint/file_handles.h>
#include <cap_checkpoint/packet_relay.h>
#include <cap_checkpoint/server_session.h>

namespace Cap_checkpoint {

	class File_system_client;
	class File_system_service_session;
}


/**
 * Calls to the server
 */
struct Cap_checkpoint::File_system_client : Rpc_client<File_system::Session>
{
	using Session        = File_system::Session;
	using Node_handle    = File_system::Node_handle;
	using Dir_handle     = File_system::Dir_handle;
	using File_handle    = File_system::File_handle;
	using Symlink_handle = File_system::Symlink_handle;
	using Watch_handle   = File_system::Watch_handle;
	using Name           = File_system::Name;
	using Path           = File_system::Path;
	using Mode           = File_system::Mode;

	File_system_client(Capability<Session> cap) : Rpc_client<Session>(cap) { }

	Capability<Tx> tx_cap() { return call<Rpc_tx_cap>(); }

	File_handle file(Dir_handle dir, Name const &name, Mode mode, bool create) override {
		return call<Rpc_file>(dir, name, mode, create); }

	Symlink_handle symlink(Dir_handle dir, Name const &name, bool create) override {
		return call<Rpc_symlink>(dir, name, create); }

	Dir_handle dir(Path const &path, bool create) override {
		return call<Rpc_dir>(path, create); }

	Node_handle  node (Path const &path) override { return call<Rpc_node> (path); }
	Watch_handle watch(Path const &path) override { return call<Rpc_watch>(path); }

	void close(Node_handle node) override { call<Rpc_close>(node); }

	File_system::Status status(Node_handle node) override {
		return call<Rpc_status>(node); }

	void control(Node_handle node, File_system::Control control) override {
		call<Rpc_control>(node, control); }

	void unlink(Dir_handle dir, Name const &name) override {
		call<Rpc_unlink>(dir, name); }

	void truncate(File_handle file, File_system::file_size_t size) override {
		call<Rpc_truncate>(file, size); }

	void move(Dir_handle from, Name const &from_name, Dir_handle to, Name const &to_name) override {
		call<Rpc_move>(from, from_name, to, to_name); }

	unsigned num_entries(Dir_handle dir) override {
		return call<Rpc_num_entries>(dir); }
};


/**
 * File_system session
 *
 * Calls of the component are calls of the server, with another handle. A restored component
 * has its nodes opened again, by their paths.
 */
class Cap_checkpoint::File_system_service_session
:
	public Open_session,
	public Rpc_object<File_system::Session, File_system_service_session>,
	private Packet_executor<File_system::Session::Tx>
{
	public:

		using Relay = Packet_relay<File_system::Session::Tx>;

		enum Memory : uint32_t { BUFFER, IN_FLIGHT, HANDLES };

	private:

		using Node_handle    = File_system::Node_handle;
		using Dir_handle     = File_system::Dir_handle;
		using File_handle    = File_system::File_handle;
		using Symlink_handle = File_system::Symlink_handle;
		using Watch_handle   = File_system::Watch_handle;
		using Name           = File_system::Name;
		using Path           = File_system::Path;
		using Mode           = File_system::Mode;
		using Record         = File_handles::Record;
		using Record_path    = File_handles::Path;

		Entrypoint    &_ep;
		Virtual_pd    &_pd;
		size_t   const _extra_ram, _extra_caps;  /* donated beyond the usual */
		Relay          _relay;
		Server_session _server;  /* closed before what it sends signals to is gone */
		File_handles   _handles;

		bool _awaited = false;  /* there may be nodes that are closing, or late */
		bool _left    = false;  /* some nodes are closed because the component may go on elsewhere */

		Constructible<File_system_client> mutable _client { };

		Record *_known(Node_handle handle)
		{
			Record * const record = _handles.find(handle.value);

			return record && !record->is(File_handles::CLOSING) ? record : nullptr;
		}

		Record const *_record(Packet const &packet) const
		{
			return const_cast<File_handles &>(_handles).find(packet.handle().value);
		}

		/**
		 * Return record of a node that the server knows
		 *
		 * \throw Invalid_handle
		 */
		Record &_usable(Node_handle handle, File_handles::Kind kind)
		{
			Record * const record = _known(handle);

			if (!record || record->is(File_handles::DEAD)
			 || (kind != File_handles::NONE && record->kind != kind))
				throw File_system::Invalid_handle();

			return *record;
		}

		Dir_handle _dir(Node_handle handle)
		{
			return Dir_handle(_usable(handle, File_handles::DIRECTORY).server_handle());
		}

		static bool _too_long(Record_path const &path)
		{
			return path.length() == Record_path::capacity();
		}

		Record_path _path_in(Node_handle dir, Name const &name);
		template <typename> void _reserve();
		void        _settle(Record_path const &);
		bool        _pending(Record const &) const;
		void        _close_at_server(Record &);
		void        _note_kind(Record &);
		bool        _upgrade_for_nodes(Costs const &, unsigned &budget);
		void        _open_again(Record &);
		bool        _reopen(Record &, unsigned &budget);
		void        _reopen_all(auto const &);


		/*******************************
		 ** Packet_executor interface **
		 *******************************/

		Payload payload(Packet const &) const override;
		bool    well_formed(Packet const &) const override;
		bool    conflict(Packet const &, Packet const &) const override;
		bool    only_reads(Packet const &) const override;
		bool    may_be_passed(Packet const &) const override;
		bool    for_server(Packet &, uint32_t, Packet &) override;
		bool    answers(Packet const &, Packet const &, uint32_t) const override;
		Packet  result(Packet const &, Packet const &) const override;
		Packet  failed(Packet const &) const override;
		void    note(Packet const &) override;
		bool    notification(Packet &) override;
		void    executed() override;

	public:

		/**
		 * Return usual quota for the server
		 */
		static Costs server_quota(Open_session::Args const &args)
		{
			return { { 8*1024*sizeof(long) + Packet_memory::buffer_size(args) },
			         { File_system::Session::CAP_QUOTA } };
		}

		/**
		 * Return what a session takes from the monitor
		 */
		static Costs server_costs(Open_session::Args const &args)
		{
			Costs const quota = server_quota(args);

			return { { quota.ram.value  + Packet_memory::RAM },
			         { quota.caps.value + Packet_memory::CAPS } };
		}

		/**
		 * Constructor
		 *
		 * \param label  of the session at the server
		 */
		File_system_service_session(Env &, Entrypoint &, Virtual_pd &, Allocator &,
		                            Session_label const &label, Id_space<Open_session> &,
		                            Request const &);

		~File_system_service_session() { _ep.dissolve(*this); }

		/**
		 * Return false if the session is of no use
		 */
		bool valid() const { return _relay.valid() && _handles.valid(); }


		/****************************
		 ** Open_session interface **
		 ****************************/

		Session_capability session_cap() const override { return cap(); }

		Costs surcharge() const override
		{
			return { { _server.surcharge.ram.value  + _extra_ram },
			         { _server.surcharge.caps.value + _extra_caps } };
		}

		void upgrade(Costs const &costs) override { _server.upgrade(costs); }

		Native_capability part(uint32_t part) const override { return _relay.part(part); }

		Signal_context_capability handler(uint32_t part) const override
		{
			return _relay.handler(part);
		}

		void handler(uint32_t part, Signal_context_capability cap) override
		{
			_relay.handler(part, cap);
		}

		Dataspace *memory(uint32_t part) override
		{
			return part == BUFFER    ? _relay.buffer_ds() :
			       part == IN_FLIGHT ? _relay.list_ds()   :
			       part == HANDLES   ? _handles.ds()      : nullptr;
		}

		Dataspace *provide_memory(uint32_t part, size_t size) override
		{
			return part == HANDLES ? _handles.resize(size) : memory(part);
		}

		void before_save() override { _relay.before_save(); }
		bool drained()     override { return _relay.drained(); }

		void hold()   override { _relay.hold(); }
		void leave()  override;
		void thawed() override;

		bool restorable() override
		{
			_relay.limit();
			return true;
		}

		void after_restore() override;


		/***********************************
		 ** File_system session interface **
		 ***********************************/

		Capability<Tx> _tx_cap() { return _relay.channel_cap(); }

		File_handle    file   (Dir_handle, Name const &, Mode, bool create) override;
		Symlink_handle symlink(Dir_handle, Name const &, bool create) override;
		Dir_handle     dir    (Path const &, bool create) override;
		Node_handle    node   (Path const &) override;
		Watch_handle   watch  (Path const &) override;

		void close(Node_handle) override;

		File_system::Status status(Node_handle) override;

		void control(Node_handle, File_system::Control) override;
		void unlink(Dir_handle, Name const &) override;
		void truncate(File_handle, File_system::file_size_t) override;
		void move(Dir_handle, Name const &, Dir_handle, Name const &) override;

		unsigned num_entries(Dir_handle) override;
};

#endif /* _INCLUDE__CAP_CHECKPOINT__FILE_SYSTEM_SESSION_H_ */
