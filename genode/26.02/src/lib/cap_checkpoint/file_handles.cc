/*
 * \brief  Nodes of a file system that a component has opened
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

/* Genode includes */
#include <cap_checkpoint/file_handles.h>

using namespace Cap_checkpoint;


void File_handles::Record::compute_hash()
{
	hash = 0;

	for (char const *c = path; *c; c++)
		hash = 31*hash + uint8_t(*c);
}


/**
 * Replace the memory by one of another size, which keeps the content on request
 */
bool File_handles::_provide(size_t size, bool keep)
{
	if (!size || size > MAX_SIZE)
		return false;

	unsigned const next = !_current;

	_memories[next].construct(_pd, _local_rm, size);

	if (!_memories[next]->valid()) {
		_memories[next].destruct();
		return false;
	}
	if (keep)
		_memories[next]->fill(_memory().start(), _memory().size());

	_memories[_current].destruct();
	_current = next;
	return true;
}


bool File_handles::reserve()
{
	for (size_t i = 0; i < count(); i++)
		if (_records()[i].kind == NONE)
			return true;

	return _provide(2*_memory().size(), true);
}


unsigned long File_handles::add(Kind kind, uint32_t mode, Path const &path, unsigned long server)
{
	size_t i = 0;
	while (_records()[i].kind != NONE)
		i++;

	Record &record = _records()[i];

	record = { .kind = kind, .mode = mode, .flags = 0, .hash = 0, .server = server, .path = { } };
	copy_cstring(record.path, path.string(), sizeof(record.path));
	record.compute_hash();
	return i;
}


bool File_handles::within(char const *path, char const *node)
{
	size_t const length = strlen(node);

	return !strcmp(path, node, length) && (path[length] == 0 || path[length] == '/');
}


void File_handles::unlinked(Path const &path)
{
	for_each([&] (unsigned long, Record &record) {
		if (within(record.path, path.string()))
			record.flags |= UNLINKED; });
}


void File_handles::moved(Path const &from, Path const &to)
{
	if (from == to)
		return;

	/* what was there before is replaced */
	unlinked(to);

	size_t const from_length = strlen(from.string()), to_length = strlen(to.string());

	for_each([&] (unsigned long, Record &record) {

		if (record.is(UNLINKED) || !within(record.path, from.string()))
			return;

		if (strlen(record.path) - from_length + to_length >= MAX_PATH) {
			record.flags |= UNLINKED;
			return;
		}
		Path const path(to, Cstring(record.path + from_length));
		copy_cstring(record.path, path.string(), sizeof(record.path));
		record.compute_hash(); });
}


void File_handles::sanitize()
{
	for_each([&] (unsigned long, Record &record) {

		record.path[MAX_PATH - 1] = 0;
		record.mode  &= File_system::READ_WRITE;
		record.flags &= ~uint32_t(LATE | LEFT);
		record.compute_hash();

		if (record.kind >= NUM_KINDS || record.path[0] != '/')
			remove(record); });
}
