/*
 * \brief  What is wrong with an image of region maps, or of page faults
 * \date   2026-12-01
 *
 * The component has two region maps, one within the other, and a thread that waits for a page of
 * the inner one.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _MAP_CASES_H_
#define _MAP_CASES_H_

/* local includes */
#include <case.h>

namespace Test {

	/* numbers of the maps within their session, and as in regions */
	enum { OUTER, INNER, OUTER_MAP = Image::Region::NUM_MAPS, INNER_MAP };

	static void for_each_map_case(auto const &fn);

	static inline uint32_t number_of_session(Altered_image const &image, char const *service)
	{
		return uint32_t(image.find<Image::Session>([&] (Image::Session const &s) {
			return !strcmp(s.service, service); }));
	}

	static inline uint32_t number_of_dataspace(Altered_image const &image,
	                                           Image::Dataspace::Kind kind, uint32_t part = 0)
	{
		return uint32_t(image.find<Image::Dataspace>([&] (Image::Dataspace const &d) {
			return d.kind == kind && d.part == part; }));
	}

	static inline void alter_map(Altered_image &image, uint32_t part, auto const &fn)
	{
		image.alter<Image::Dataspace>(
			number_of_dataspace(image, Image::Dataspace::REGION_MAP, part), fn);
	}

	/**
	 * Alter the n-th region of a map
	 */
	static inline void alter_region(Altered_image &image, uint32_t map, unsigned n, auto const &fn)
	{
		size_t const first = image.find<Image::Region>([&] (Image::Region const &r) {
			return r.map == map; });

		image.alter<Image::Region>(first + n, fn);
	}

	/**
	 * Alter the last record that belongs to a session
	 */
	template <typename RECORD>
	static inline void alter_last_of(Altered_image &image, char const *service, auto const &fn)
	{
		uint32_t const session = number_of_session(image, service);

		size_t const first = image.find<RECORD>([&] (RECORD const &r) { return r.session == session; }),
		             next  = image.find<RECORD>([&] (RECORD const &r) { return r.session >  session; });

		if (first < next)
			image.alter<RECORD>(next - 1, fn);
	}
}


static void Test::for_each_map_case(auto const &fn)
{
	using namespace Image;

	auto refused = [&] (char const *name, char const *reason, void (*alter)(Altered_image &)) {
		fn(Case { .name = name, .reason = reason, .alter = alter }); };

	/*
	 * Region maps
	 */

	refused("owner of a region map", "is not an RM session", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) {
			d.owner = number_of_session(image, "LOG"); }); });

	refused("owner of a region map that there is not", "no such session", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) { d.owner = 9999; }); });

	refused("number of a region map that is taken", "is out of order", [] (Altered_image &image) {
		alter_map(image, INNER, [&] (Image::Dataspace &d) { d.part = OUTER; }); });

	refused("size of a region map", "is not a number of pages", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) { d.size++; }); });

	refused("size of a region map that nobody has room for", "memory: region map", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) { d.size = 1ULL << 63; }); });

	refused("slot of a region map", "record does not name this slot", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) { d.slot++; }); });

	refused("member of a region map", "no such member", [] (Altered_image &image) {
		alter_map(image, OUTER, [&] (Image::Dataspace &d) { d.member = 1; }); });

	refused("region map whose capability leads nowhere", "capability: slot", [] (Altered_image &image) {
		alter_last_of<Part>(image, "RM", [&] (Part &p) { p.part = 99; }); });

	refused("handler of a region map that there is not", "handler 99 of session", [] (Altered_image &image) {
		alter_last_of<Handler>(image, "RM", [&] (Handler &h) { h.part = 99; }); });

	refused("quota of an RM session that the component has not", "session: RM", [] (Altered_image &image) {
		image.alter<Image::Session>(number_of_session(image, "RM"), [&] (Image::Session &s) {
			s.ram_quota = 1ULL << 40; }); });

	/*
	 * Regions within them
	 */

	refused("map of a region", "no such region map", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.map = 99; }); });

	refused("map of a region that is out of order", "is out of order", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.map = OUTER_MAP; }); });

	refused("dataspace of a region", "no such dataspace", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.dataspace = 9999; }); });

	refused("region of the stack area in a map", "region map within a region map", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [&] (Image::Region &r) {
			r.dataspace = number_of_dataspace(image, Image::Dataspace::STACK_AREA); }); });

	refused("address of a region in a map", "is not a number of pages", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.at++; }); });

	refused("regions of a map that overlap", "is not behind the one before", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.at = 0; }); });

	refused("region behind the end of its map", "does not fit in the region map", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.at = 4*PAGE_SIZE; }); });

	refused("region behind the end of its dataspace", "does not fit in the dataspace", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.offset = 99*PAGE_SIZE; }); });

	refused("rights of a region in a map", "unknown rights", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.rights = 4; }); });

	refused("reserved field of a region", "reserved field is not zero", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [] (Image::Region &r) { r.zero = 1; }); });

	refused("region map within itself", "memory: region at", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [&] (Image::Region &r) {
			r.dataspace = number_of_dataspace(image, Image::Dataspace::REGION_MAP, INNER);
			r.offset    = 0; }); });

	refused("region map that contains the one it is in", "memory: region at", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [&] (Image::Region &r) {
			r.dataspace = number_of_dataspace(image, Image::Dataspace::REGION_MAP, OUTER);
			r.offset    = 0; }); });

	/*
	 * Page faults
	 */

	refused("thread with a page fault", "no such thread", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.thread = 9999; }); });

	refused("thread with a page fault that is elsewhere", "thread is not parked", [] (Altered_image &image) {
		image.alter<Fault>(0, [&] (Fault &f) {
			f.thread = uint32_t(image.find<Image::Thread>([] (Image::Thread const &t) {
				return t.state != Image::Thread::PARKED; })); }); });

	refused("map of a page fault", "no such region map", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.map = 99; }); });

	refused("address of a page fault", "is too large", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.address = 4*PAGE_SIZE; }); });

	refused("page fault where something is attached", "where something is attached", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.address = PAGE_SIZE + 8; }); });

	refused("type of a page fault", "unknown type of a fault", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.type = 9; }); });

	refused("reserved field of a page fault", "reserved field is not zero", [] (Altered_image &image) {
		image.alter<Fault>(0, [] (Fault &f) { f.zero = 1; }); });
}

#endif /* _MAP_CASES_H_ */
