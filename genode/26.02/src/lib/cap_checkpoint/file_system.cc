/*
 * \brief  File_system session of a component that can be checkpointed
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/file_system_session.h>
#include <cap_checkpoint/parent.h>

/* Fiasco.OC includes */
#include <foc/syscall.h>

using namespace Cap_checkpoint;

using Opcode = File_system::Packet_descriptor::Opcode;


/**
 * Return arguments of the session that matter to the server
 */
static Open_session::Args args_for_server(Open_session::Args const &args)
{
	return { ", tx_buf_size=", Packet_memory::buffer_size(args),
	         ", writeable=", Arg_string::find_arg(args.string(), "writeable").bool_value(false) };
}


static size_t beyond(size_t value, size_t usual) { return value > usual ? value - usual : 0; }


File_system_service_session::File_system_service_session(Env &env, Entrypoint &ep, Virtual_pd &pd,
                                                         Allocator &alloc,
                                                         Session_label const &label,
                                                         Id_space<Open_session> &space,
                                                         Request const &request)
:
	Open_session(space, request), _ep(ep), _pd(pd),
	_extra_ram (beyond(request.donated.ram.value,
	                   Virtual_parent::SESSION_RAM + server_costs(request.args).ram.value)),
	_extra_caps(beyond(request.donated.caps.value,
	                   Virtual_parent::SESSION_CAPS + server_costs(request.args).caps.value)),
	_relay(env, ep, pd, alloc, *this, request.args),
	_server(env, File_system::Session::service_name(), label,
	        { { server_quota(request.args).ram.value  + _extra_ram },
	          { server_quota(request.args).caps.value + _extra_caps } },
	        args_for_server(request.args)),
	_handles(pd, env.rm())
{
	if (_server.cap().valid() && _relay.usable()) {
		_client.construct(static_cap_cast<File_system::Session>(_server.cap()));
		_relay.server(env.rm(), _client->tx_cap());
	}
	_ep.manage(*this);
}


/*************
 ** Handles **
 *************/

static File_handles::Path joined(char const *dir, char const *name)
{
	return { Cstring(strcmp(dir, "/") ? dir : ""), "/", Cstring(name) };
}


/**
 * Return path of a name in a directory
 */
File_handles::Path File_system_service_session::_path_in(Node_handle dir, Name const &name)
{
	/* what a component sends may lack its end */
	if (!name.valid_string())
		throw File_system::Invalid_name();

	return joined(_usable(dir, File_handles::DIRECTORY).path, name.string());
}


/**
 * Make sure that a node can be added once the server has opened it
 *
 * The component must not donate more quota because of this, as the session would not have more room.
 */
template <typename ERROR>
void File_system_service_session::_reserve()
{
	if (!_handles.reserve())
		throw ERROR();
}


bool File_system_service_session::_pending(Record const &record) const
{
	return _relay.list().pending([&] (Packet const &packet) { return _record(packet) == &record; });
}


static constexpr unsigned MAX_WAITS = 10;


/**
 * Wait a while for the packets of a node, and of what is below it
 *
 * The component may change the node by calls without waiting for its acknowledgements. A packet that
 * is executed once more after that would undo it. This does not concern what is no plain data. A node
 * whose packets were waited for in vain is not waited for once more before they are executed.
 */
void File_system_service_session::_settle(Record_path const &path)
{
	using namespace Foc;

	auto awaited = [&] (Packet const &packet)
	{
		Record const * const record = _record(packet);

		return record && packet.operation() != Opcode::READ_READY
		    && !record->is(File_handles::STREAM) && !record->is(File_handles::LATE)
		    && File_handles::within(record->path, path.string());
	};

	for (unsigned i = 0; i < MAX_WAITS; i++) {

		_relay.process();

		if (!_relay.list().pending(awaited))
			return;

		l4_ipc_sleep(l4_timeout(L4_IPC_TIMEOUT_NEVER, l4_timeout_rel(125, 3)));
	}

	_handles.for_each([&] (unsigned long, Record &record) {

		if (!_relay.list().pending([&] (Packet const &packet) {
			return _record(packet) == &record && awaited(packet); }))
			return;

		record.flags |= File_handles::LATE;
		_awaited = true; });
}


void File_system_service_session::_close_at_server(Record &record)
{
	if (record.is(File_handles::DEAD))
		return;

	try { _client->close(Node_handle { record.server_handle() }); }
	catch (...) { }
}


/**
 * Take note of whether a file is plain data
 */
void File_system_service_session::_note_kind(Record &record)
{
	record.flags &= ~File_handles::STREAM;

	try {
		if (_client->status({ record.server_handle() }).type
		    == File_system::Node_type::TRANSACTIONAL_FILE)
			record.flags |= File_handles::STREAM;
	}
	catch (...) { }
}


/***********************************
 ** File_system session interface **
 ***********************************/

File_system_service_session::File_handle
File_system_service_session::file(Dir_handle dir, Name const &name, Mode mode, bool create)
{
	Record_path const path = _path_in(dir, name);

	if (_too_long(path))
		throw File_system::Invalid_name();

	_reserve<File_system::No_space>();

	File_handle const server = _client->file(_dir(dir), name, mode, create);

	File_handle const result(_handles.add(File_handles::FILE, mode, path, server.value));

	_note_kind(*_handles.find(result.value));
	return result;
}


File_system_service_session::Symlink_handle
File_system_service_session::symlink(Dir_handle dir, Name const &name, bool create)
{
	Record_path const path = _path_in(dir, name);

	if (_too_long(path))
		throw File_system::Invalid_name();

	_reserve<File_system::No_space>();

	Symlink_handle const server = _client->symlink(_dir(dir), name, create);

	return Symlink_handle(_handles.add(File_handles::SYMLINK, 0, path, server.value));
}


/**
 * Return path that starts with a slash
 */
static bool usable_path(File_system::Path const &path)
{
	return path.valid_string() && path.string()[0] == '/'
	    && strlen(path.string()) < File_handles::MAX_PATH;
}


File_system_service_session::Dir_handle
File_system_service_session::dir(Path const &path, bool create)
{
	if (!usable_path(path))
		throw File_system::Lookup_failed();

	_reserve<File_system::No_space>();

	Dir_handle const server = _client->dir(path, create);

	return Dir_handle(_handles.add(File_handles::DIRECTORY, 0, path.string(), server.value));
}


File_system_service_session::Node_handle File_system_service_session::node(Path const &path)
{
	if (!usable_path(path))
		throw File_system::Lookup_failed();

	_reserve<File_system::Lookup_failed>();

	Node_handle const server = _client->node(path);

	return { _handles.add(File_handles::NODE, 0, path.string(), server.value) };
}


File_system_service_session::Watch_handle File_system_service_session::watch(Path const &path)
{
	if (!usable_path(path))
		throw File_system::Lookup_failed();

	_reserve<File_system::Unavailable>();

	Watch_handle const server = _client->watch(path);

	return Watch_handle(_handles.add(File_handles::WATCH, 0, path.string(), server.value));
}


/**
 * Close a node, now or when its packets are executed
 *
 * A read that the server has not executed by now may wait for others, and is over.
 */
void File_system_service_session::close(Node_handle handle)
{
	Record * const record = _known(handle);

	if (!record)
		throw File_system::Invalid_handle();

	_settle(record->path);

	using Entry = Relay::List::Entry;

	/* nobody waits for data any more, the queue had such packets, too */
	_relay.forget([&] (Packet const &p) {
		return p.operation() == Opcode::READ_READY && _record(p) == record; });

	auto read = [&] (Entry const &entry) {
		return entry.packet.operation() == Opcode::READ && _record(entry.packet) == record; };

	_relay.fail([&] (Entry const &entry) {
		return entry.state == Relay::List::TAKEN && read(entry); });

	bool const waits = _relay.list().any([&] (Entry const &entry) {
		return entry.state == Relay::List::SUBMITTED && read(entry); });

	if (_pending(*record) && !waits) {
		record->flags |= File_handles::CLOSING;
		_awaited = true;
		_relay.process();
		return;
	}

	/* the server may execute what it can before it closes the node */
	_close_at_server(*record);
	_relay.fail([&] (Entry const &entry) { return _record(entry.packet) == record; });
	_handles.remove(*record);
	_relay.process();
}


File_system::Status File_system_service_session::status(Node_handle node)
{
	return _client->status({ _usable(node, File_handles::NONE).server_handle() });
}


void File_system_service_session::control(Node_handle node, File_system::Control control)
{
	_client->control({ _usable(node, File_handles::NONE).server_handle() }, control);
}


void File_system_service_session::unlink(Dir_handle dir, Name const &name)
{
	Record_path const path = _path_in(dir, name);

	_settle(path);
	_client->unlink(_dir(dir), name);
	_handles.unlinked(path);
}


void File_system_service_session::truncate(File_handle file, File_system::file_size_t size)
{
	Record const &record = _usable(file, File_handles::FILE);

	_settle(record.path);
	_client->truncate(File_handle(record.server_handle()), size);
}


void File_system_service_session::move(Dir_handle from_dir, Name const &from_name,
                                       Dir_handle to_dir,   Name const &to_name)
{
	Record_path const from = _path_in(from_dir, from_name), to = _path_in(to_dir, to_name);

	if (_too_long(to))
		throw File_system::Invalid_name();

	_settle(from);
	_settle(to);
	_client->move(_dir(from_dir), from_name, _dir(to_dir), to_name);
	_handles.moved(from, to);
}


unsigned File_system_service_session::num_entries(Dir_handle dir)
{
	return _client->num_entries(_dir(dir));
}
