/*
 * \brief  Nodes of a file system that are opened again at the server
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/file_system_session.h>

using namespace Cap_checkpoint;

using Record = File_handles::Record;


/* that the component pays to open all of its nodes again */
static constexpr unsigned MAX_UPGRADES = 128;
static constexpr size_t   UPGRADE_RAM = 8*1024, UPGRADE_CAPS = 2;


/**
 * Let the component pay more quota for the session
 *
 * The server needs more than before if its memory has more gaps, and for the directory of a file
 * meanwhile. A component that opened the node itself would donate it likewise.
 *
 * \param budget  how often this may still happen
 *
 * \return  false if the component has not as much
 */
bool File_system_service_session::_upgrade_for_nodes(Costs const &costs, unsigned &budget)
{
	if (!budget)
		return false;

	budget--;

	return _pd.pay(costs).convert<bool>(
		[&] (Ok) {
			request.donated.ram.value  += costs.ram.value;
			request.donated.caps.value += costs.caps.value;
			_server.upgrade(costs);
			return true; },
		[&] (Alloc_error) { return false; });
}


/**
 * Open a node by the path that leads to it
 *
 * \throw  what the server throws
 */
void File_system_service_session::_open_again(Record &record)
{
	/* a path has a slash */
	size_t last = 0;
	for (size_t i = 0; record.path[i]; i++)
		if (record.path[i] == '/')
			last = i;

	Record_path const parent(Cstring(record.path, last ? last : 1));
	char const * const name = record.path + last + 1;

	auto in_parent = [&] (auto const &fn)
	{
		Dir_handle const dir = _client->dir(parent.string(), false);
		try { record.server = fn(dir).value; }
		catch (...) {
			_client->close(dir);
			throw;
		}
		try { _client->close(dir); } catch (...) { }
	};

	switch (record.kind) {
	case File_handles::DIRECTORY:
		record.server = _client->dir(record.path, false).value;
		break;
	case File_handles::FILE:
		in_parent([&] (Dir_handle dir) {
			return _client->file(dir, name, Mode(record.mode), false); });
		_note_kind(record);
		break;
	case File_handles::SYMLINK:
		in_parent([&] (Dir_handle dir) { return _client->symlink(dir, name, false); });
		break;
	case File_handles::NODE:
		record.server = _client->node(record.path).value;
		break;
	case File_handles::WATCH:
		record.server = _client->watch(record.path).value;

		/* it may have changed since */
		record.flags |= File_handles::CHANGED;
		break;
	}
}


/**
 * Open a node again, or let the component see that the server does not know it
 *
 * \return  false if the node had a path that does not lead to it any more
 */
bool File_system_service_session::_reopen(Record &record, unsigned &budget)
{
	bool const had_path = !record.is(File_handles::UNLINKED) && !record.is(File_handles::DEAD);

	for (bool again = had_path; again; ) {
		try {
			_open_again(record);
			return true;
		}
		catch (Out_of_ram)  { again = _upgrade_for_nodes({ { UPGRADE_RAM }, { 0 } }, budget); }
		catch (Out_of_caps) { again = _upgrade_for_nodes({ { 0 }, { UPGRADE_CAPS } }, budget); }
		catch (...)         { again = false; }
	}
	record.flags |= File_handles::DEAD;

	return !had_path;
}


/**
 * Open the nodes again for which 'wanted' returns true, and say if some of them are lost
 */
void File_system_service_session::_reopen_all(auto const &wanted)
{
	unsigned budget = MAX_UPGRADES, lost = 0;

	Record const *first = nullptr;

	_handles.for_each([&] (unsigned long, Record &record) {
		if (wanted(record) && !_reopen(record, budget) && !lost++)
			first = &record; });

	if (first)
		warning(_pd.name, ": ", lost, " of the nodes of its file system '", request.label(),
		        "' cannot be opened again, among them '", Cstring(first->path), "'");
}


void File_system_service_session::after_restore()
{
	_handles.sanitize();
	_awaited = true;

	_reopen_all([] (Record const &) { return true; });

	_relay.after_restore();
}


/**
 * Close nodes so that the session does not matter to the component elsewhere
 *
 * A server may not let the name of a deleted file be used as long as somebody has the file open. What is
 * deleted by the component cannot be opened again, and what is no plain data may not be the same then. A node that the server
 * has a read for remains open, too, as nobody would know when the server writes to the buffer.
 */
void File_system_service_session::leave()
{
	if (!valid())
		return;

	_relay.before_save();

	_handles.for_each([&] (unsigned long, Record &record) {

		bool const named = record.kind == File_handles::FILE || record.kind == File_handles::SYMLINK
		                || record.kind == File_handles::DIRECTORY;

		bool const at_server = _relay.list().any([&] (Relay::List::Entry const &entry) {
			return entry.state == Relay::List::SUBMITTED && _record(entry.packet) == &record; });

		if (!named || at_server || record.is(File_handles::DEAD) || record.is(File_handles::UNLINKED)
		 || record.is(File_handles::STREAM))
			return;

		_close_at_server(record);
		record.flags |= File_handles::LEFT;
		_left = true; });
}


void File_system_service_session::thawed()
{
	if (_left) {
		_reopen_all([] (Record &record) {
			bool const left = record.is(File_handles::LEFT);
			record.flags &= ~uint32_t(File_handles::LEFT);
			return left; });

		_relay.fail([&] (Relay::List::Entry const &entry) {
			Record const * const record = _record(entry.packet);
			return record && record->is(File_handles::DEAD); });
	}
	_left = false;
	_relay.thawed();
}
