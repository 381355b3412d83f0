/*
 * \brief  What is wrong with an image of several components
 * \date   2026-12-01
 *
 * They are an init, which is the root, and two servers that nobody calls. Each of these has a parent, an account, and a table.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _UNIT_CASES_H_
#define _UNIT_CASES_H_

/* local includes */
#include <case.h>

namespace Test {

	static constexpr uint32_t NUM_MEMBERS = 3;

	/**
	 * Return true if both servers are what they are in the end
	 */
	static inline bool has_whole_members(Altered_image const &image)
	{
		if (!Image::is_unit(image.contents()) || image.num<Image::Member>() != NUM_MEMBERS)
			return false;

		return image.find<Image::Member>([] (Image::Member const &m) {
			return m.parent_dataspace == Image::NONE || !m.table_size || !m.num_gates; }) == NUM_MEMBERS;
	}

	static inline void alter_member(Altered_image &image, size_t number, auto const &fn)
	{
		image.alter<Image::Member>(number, fn);
	}

	static void for_each_unit_case(auto const &fn);
}


static void Test::for_each_unit_case(auto const &fn)
{
	using namespace Image;

	Case const intact { .name = "nothing", .reason = nullptr, .alter = [] (Altered_image &) { },
	                    .restored = true };

	auto refused = [&] (char const *name, char const *reason, void (*alter)(Altered_image &)) {
		fn(Case { .name = name, .reason = reason, .alter = alter }); };

	fn(intact);

	/*
	 * Session
	 */

	refused("member that there is already", "is out of order", [] (Altered_image &image) {
		uint32_t const session = image.get<Member>(1).session;
		alter_member(image, 2, [&] (Member &m) { m.session = session; }); });

	refused("session that is no PD session", "is not a PD session", [] (Altered_image &image) {
		alter_member(image, 2, [&] (Member &m) { m.session++; }); });

	refused("session that there is not", "is not a PD session", [] (Altered_image &image) {
		alter_member(image, 2, [&] (Member &m) { m.session = 9999; }); });

	/*
	 * Account
	 */

	refused("account that there is not", "no such member", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.account = NUM_MEMBERS; }); });

	refused("account of the root", "the root has none", [] (Altered_image &image) {
		alter_member(image, 0, [&] (Member &m) { m.account = 1; }); });

	refused("account that is the member itself", "comes from itself", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.account = 1; }); });

	refused("accounts in a circle", "comes from itself", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.account = 2; });
		alter_member(image, 2, [&] (Member &m) { m.account = 1; }); });

	/*
	 * Parent
	 */

	refused("parent that there is not", "no such gate", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.parent = 9999; }); });

	refused("parent of the root", "the root has none", [] (Altered_image &image) {
		alter_member(image, 0, [&] (Member &m) { m.parent = 0; }); });

	refused("parent that is the member itself", "is its own parent", [] (Altered_image &image) {
		uint32_t const first_own = image.get<Member>(0).num_gates;
		alter_member(image, 1, [&] (Member &m) { m.parent = first_own; }); });

	refused("no parent", "member has no parent", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.parent = NONE; }); });

	refused("dataspace for the parent that there is not", "no such dataspace", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.parent_dataspace = 9999; }); });

	refused("no dataspace for the parent of the root", "no such dataspace", [] (Altered_image &image) {
		alter_member(image, 0, [&] (Member &m) { m.parent_dataspace = NONE; }); });

	refused("ROM module for the parent", "dataspace is not RAM", [] (Altered_image &image) {
		size_t const rom = image.find<Image::Dataspace>([] (Image::Dataspace const &d) {
			return d.kind == Image::Dataspace::ROM; });
		alter_member(image, 1, [&] (Member &m) { m.parent_dataspace = uint32_t(rom); }); });

	refused("dataspace for the parent of the root that is free to go", "component's to free",
	        [] (Altered_image &image) {
		size_t const ram = image.find<Image::Dataspace>([] (Image::Dataspace const &d) {
			return d.kind == Image::Dataspace::RAM && d.slot != NONE; });
		alter_member(image, 0, [&] (Member &m) { m.parent_dataspace = uint32_t(ram); }); });

	refused("place of the parent", "does not fit in the dataspace", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.parent_offset = ~0ULL; }); });

	refused("place of the parent without a dataspace", "is not zero", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) {
			m.parent_dataspace = NONE;
			m.parent_offset    = 8; }); });

	/*
	 * Table
	 */

	refused("size of a table", "is not a number of words", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.table_size++; }); });

	refused("size of a table that exceeds the section", "exceeds the section of tables",
	        [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.table_size = 1ULL << 40; }); });

	refused("table of the last member", "bytes behind the last table", [] (Altered_image &image) {
		alter_member(image, 2, [&] (Member &m) { m.table_size = 0; }); });

	refused("tables that begin elsewhere", "section 'table'", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.table_size -= PAGE_SIZE; });
		alter_member(image, 2, [&] (Member &m) { m.table_size += PAGE_SIZE; }); });

	/*
	 * Quota
	 */

	refused("RAM quota of the root", "the root has none", [] (Altered_image &image) {
		alter_member(image, 0, [&] (Member &m) { m.ram_quota = 1; }); });

	refused("RAM quota beyond all of it", "exceeds the RAM quota", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.ram_quota = ~0ULL; }); });

	refused("RAM quota less than what the member has", "exceeds the RAM quota", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.ram_quota = PAGE_SIZE; }); });

	refused("RAM quota that leaves the root less than it has", "exceeds the RAM quota",
	        [] (Altered_image &image) {
		uint64_t const rest = image.get<System>(0).ram_quota - image.get<Member>(2).ram_quota;
		alter_member(image, 1, [&] (Member &m) { m.ram_quota = rest; }); });

	refused("capability quota of the root", "the root has none", [] (Altered_image &image) {
		alter_member(image, 0, [&] (Member &m) { m.cap_quota = 1; }); });

	refused("capability quota beyond all of it", "exceeds the capability quota", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.cap_quota = ~0ULL; }); });

	/* what the restore itself finds out */
	refused("capability quota that leaves the root nothing", "cannot be moved", [] (Altered_image &image) {
		uint64_t const rest = image.get<System>(0).cap_quota - image.get<Member>(2).cap_quota;
		alter_member(image, 1, [&] (Member &m) { m.cap_quota = rest; }); });

	/*
	 * Gates, and what is left of the record
	 */

	refused("number of gates", "exceeds the number of gates", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.num_gates = 9999; }); });

	refused("gate of no member", "gate of no member", [] (Altered_image &image) {
		alter_member(image, 2, [&] (Member &m) { m.num_gates--; }); });

	refused("field that is zero", "is not zero", [] (Altered_image &image) {
		alter_member(image, 1, [&] (Member &m) { m.zero = 1; }); });

	/*
	 * Members of other records
	 */

	refused("member of an object", "section 'objects'", [] (Altered_image &image) {
		image.alter<Object>(image.num<Object>() - 1, [] (Object &o) { o.member = NUM_MEMBERS; }); });

	refused("former object that leads to a record", "section 'objects'", [] (Altered_image &image) {
		image.alter_one<Object>([] (Object &o) {
			if (o.previous == NONE) return false;
			o.previous = NONE;
			return true; }); });

	refused("member of a dataspace", "no such member", [] (Altered_image &image) {
		image.alter<Image::Dataspace>(0, [] (Image::Dataspace &d) { d.member = NUM_MEMBERS; }); });

	refused("member of a thread", "section 'threads'", [] (Altered_image &image) {
		image.alter<Image::Thread>(image.num<Image::Thread>() - 1,
		                           [] (Image::Thread &t) { t.member = NUM_MEMBERS; }); });

	refused("member of a signal source", "no such member", [] (Altered_image &image) {
		image.alter<Source>(0, [] (Source &s) { s.member = NUM_MEMBERS; }); });

	refused("main thread of another member", "member is not the root", [] (Altered_image &image) {
		uint32_t const thread = uint32_t(image.find<Image::Thread>([] (Image::Thread const &t) {
			return t.member == 1; }));
		image.alter<System>(0, [&] (System &s) { s.main_thread = thread; }); });

	refused("map of a region", "no such region map", [] (Altered_image &image) {
		image.alter<Image::Region>(image.num<Image::Region>() - 1, [] (Image::Region &r) {
			r.map = NUM_MEMBERS*Image::Region::NUM_MAPS; }); });

	fn(intact);
}

#endif /* _UNIT_CASES_H_ */
