/*
 * \brief  Packets to a file system
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/file_system_session.h>

using namespace Cap_checkpoint;

using Opcode = File_system::Packet_descriptor::Opcode;


File_system_service_session::Payload
File_system_service_session::payload(Packet const &p) const
{
	bool const read = p.operation() == Opcode::READ, write = p.operation() == Opcode::WRITE;

	if (!read && !write)
		return { };

	return { .offset = p.offset(), .length = p.length(), .to_server = write, .from_server = read };
}


bool File_system_service_session::well_formed(Packet const &p) const
{
	Record const * const record = _record(p);

	if (!record || record->is(File_handles::DEAD)
	 || record->kind == File_handles::NODE || record->kind == File_handles::WATCH)
		return false;

	switch (p.operation()) {
	case Opcode::READ:
	case Opcode::WRITE:
		return p.length() <= p.size();
	case Opcode::WRITE_TIMESTAMP:
	case Opcode::READ_READY:
	case Opcode::SYNC:
		return true;
	case Opcode::CONTENT_CHANGED:
		break;
	}
	return false;
}


bool File_system_service_session::only_reads(Packet const &p) const
{
	return p.operation() == Opcode::READ || p.operation() == Opcode::READ_READY;
}


/**
 * Return true if two packets may be about the same bytes of a file, of which at least one writes
 *
 * A server may execute the packets of a node one by one, and let all nodes wait for the one
 * whose packet is the next. So nothing is handed over by the handle of a read that may wait for others.
 * Files are compared by the hashes of their paths. If those of two files are the same, packets are in
 * order that need not be.
 */
bool File_system_service_session::conflict(Packet const &a, Packet const &b) const
{
	auto writes = [] (Packet const &p) {
		return p.operation() == Opcode::WRITE || p.operation() == Opcode::WRITE_TIMESTAMP; };

	auto other = [] (Packet const &p) {
		return p.operation() == Opcode::READ_READY || p.operation() == Opcode::SYNC; };

	Record const * const record_a = _record(a), * const record_b = _record(b);

	if (!record_a || !record_b || record_a->hash != record_b->hash)
		return false;

	if (record_a == record_b && a.operation() != Opcode::READ_READY && b.operation() != Opcode::READ_READY) {
		bool const behind_read = a.operation() == Opcode::READ && b.operation() != Opcode::READ;
		if (behind_read || record_a->is(File_handles::STREAM))
			return true;
	}

	/* what a stream gets is not what is read from it, and a sync must not go past what waits */
	if (record_a->is(File_handles::STREAM) && record_b->is(File_handles::STREAM)) {
		auto ordered = [&] (Packet const &p) { return writes(p) || p.operation() == Opcode::SYNC; };
		return ordered(a) && ordered(b);
	}

	if (other(a) || other(b) || (!writes(a) && !writes(b)))
		return false;

	auto whole_file = [] (Packet const &p) {
		return p.operation() == Opcode::WRITE_TIMESTAMP || p.position() == File_system::SEEK_TAIL; };

	if (whole_file(a) || whole_file(b))
		return true;

	/* how much can be read depends on what is written behind, too */
	if (!writes(a) || !writes(b)) {
		Packet const &read = writes(a) ? b : a, &write = writes(a) ? a : b;
		return write.position() > read.position()
		    || read.position() - write.position() < write.length();
	}

	return a.position() < b.position() ? b.position() - a.position() < a.length()
	                                   : a.position() - b.position() < b.length();
}


/**
 * Return the part of the buffer that was checked
 */
static File_system::Packet_descriptor content_for_server(File_system::Packet_descriptor const &p)
{
	bool const any = (p.operation() == Opcode::READ || p.operation() == Opcode::WRITE)
	              && p.length();

	return any ? File_system::Packet_descriptor(p.offset(), p.length())
	           : File_system::Packet_descriptor();
}


/**
 * What reads from the other end of a stream decides when it takes what is written
 */
bool File_system_service_session::may_be_passed(Packet const &p) const
{
	Record const * const record = _record(p);

	return only_reads(p) || (record && record->is(File_handles::STREAM));
}


/**
 * Translate the handle, and let data that is to be appended have its place
 *
 * No other packet for the file is in flight then. If the place is not known, data would be appended
 * each time that the packet is executed. A file that no path leads to any more
 * is not opened again, so packets for it are executed once.
 */
bool File_system_service_session::for_server(Packet &p, uint32_t, Packet &request)
{
	Record const * const record = _record(p);

	if (!record)
		return false;

	Node_handle const node { record->server_handle() };

	bool const append = p.operation() == Opcode::WRITE && p.position() == File_system::SEEK_TAIL
	                 && record->kind == File_handles::FILE;

	if (append && !record->is(File_handles::STREAM) && !record->is(File_handles::UNLINKED)) {
		try { p = Packet(p, p.handle(), p.operation(), p.length(), _client->status(node).size); }
		catch (...) { return false; }
	}

	Packet const content = content_for_server(p);

	request = Packet(content, node, p.operation(), content.size(), p.position());

	p.with_timestamp([&] (File_system::Timestamp const &time) {
		request = Packet(content, node, p.operation(), time); });

	return true;
}


bool File_system_service_session::answers(Packet const &answer, Packet const &p, uint32_t) const
{
	Record const * const record = _record(p);

	if (!record || record->server != answer.handle().value || p.operation() != answer.operation())
		return false;

	Packet const content = content_for_server(p);

	return content.offset() == answer.offset() && content.size() == answer.size();
}


File_system_service_session::Packet
File_system_service_session::result(Packet const &p, Packet const &answer) const
{
	Packet result = p;

	if (p.operation() == Opcode::READ || p.operation() == Opcode::WRITE)
		result.length(min(p.length(), answer.length()));

	result.succeeded(answer.succeeded());
	return result;
}


File_system_service_session::Packet
File_system_service_session::failed(Packet const &p) const
{
	Packet result = p;
	result.succeeded(false);
	return result;
}


void File_system_service_session::note(Packet const &packet)
{
	if (packet.operation() != Opcode::CONTENT_CHANGED)
		return;

	_handles.for_each([&] (unsigned long, Record &record) {
		if (record.kind == File_handles::WATCH && record.server == packet.handle().value)
			record.flags |= File_handles::CHANGED; });
}


bool File_system_service_session::notification(Packet &packet)
{
	bool found = false;

	_handles.for_each([&] (unsigned long handle, Record &record) {

		if (found || !record.is(File_handles::CHANGED))
			return;

		packet = Packet(Node_handle { handle }, Opcode::CONTENT_CHANGED);
		record.flags &= ~File_handles::CHANGED;
		found = true; });

	return found;
}


/**
 * Close nodes of which the last packet was executed, or wait for the next ones again
 */
void File_system_service_session::executed()
{
	if (!_awaited)
		return;

	_awaited = false;

	_handles.for_each([&] (unsigned long, Record &record) {

		if (!record.is(File_handles::CLOSING) && !record.is(File_handles::LATE))
			return;

		if (_pending(record)) {
			_awaited = true;
		} else if (record.is(File_handles::CLOSING)) {
			_close_at_server(record);
			_handles.remove(record);
		} else {
			record.flags &= ~File_handles::LATE;
		} });
}
