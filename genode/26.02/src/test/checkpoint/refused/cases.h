/*
 * \brief  What is wrong with an image or its start node
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _CASES_H_
#define _CASES_H_

/* local includes */
#include <map_cases.h>
#include <session_cases.h>

namespace Test {

	/**
	 * Call 'fn' with each 'Case const &', an intact image is the first and the last one
	 */
	static void for_each_case(auto const &fn);
}


static void Test::for_each_case(auto const &fn)
{
	using namespace Image;

	Case const intact { .name = "nothing", .reason = nullptr,
	                    .alter = [] (Altered_image &) { }, .restored = true };

	fn(intact);

	fn(Case { .name = "no image", .reason = "no image at", .image = "/images/none" });

	fn(Case { .name = "place of another child", .reason = "another child has its images",
	          .image = "/images/good" });

	fn(Case { .name = "place of another child by another path",
	          .reason = "another child has its images", .image = "//images/x/.././good/" });

	fn(Case { .name = "file of another child as a range",
	          .reason = "another child has its images", .image = "/images/good.1",
	          .size = 64*1024 });

	fn(Case { .name = "path that leaves no room for the suffix", .reason = "path of the images is too long",
	          .image = Case::LONG_PATH });

	fn(Case { .name = "no VFS path", .reason = "there is no place for images", .image = "" });

	fn(Case { .name = "less quota than saved", .reason = "quota is too small",
	          .ram = 1024*1024 });

	fn(Case { .name = "more quota than there is", .reason = "quota exceeds what is available",
	          .ram = 900*1024*1024 });

	fn(Case { .name = "cut within the header", .reason = "ends within its header",
	          .alter = [] (Altered_image &image) { image.num_bytes = 16; }, .sealed = false });

	fn(Case { .name = "no header", .reason = "is not a checkpoint file",
	          .alter = [] (Altered_image &image) { image.flip(0); }, .sealed = false });

	fn(Case { .name = "bit of the header", .reason = "checksum of the header",
	          .alter = [] (Altered_image &image) { image.flip(16); }, .sealed = false });

	fn(Case { .name = "bit of the section table", .reason = "checksum of the section table",
	          .alter = [] (Altered_image &image) { image.flip(HEADER_SIZE + 40); },
	          .sealed = false });

	fn(Case { .name = "bit of a section", .reason = "checksum of a section",
	          .alter = [] (Altered_image &image) { image.flip(image.offset(PAGES) + 5000); },
	          .sealed = false });

	fn(Case { .name = "architecture", .reason = "unknown architecture",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.architecture = 99; }); } });

	fn(Case { .name = "other architecture", .reason = "architecture",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.architecture = System::ARM_V7; }); } });

	fn(Case { .name = "other release", .reason = "image: release",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.release[1]++; }); } });

	fn(Case { .name = "table", .reason = "section 'table'",
	          .alter = [] (Altered_image &image) { image.flip(image.offset(TABLE)); } });

	fn(Case { .name = "object", .reason = "section 'objects'",
	          .alter = [] (Altered_image &image) {
		image.alter<Object>(3, [] (Object &o) { o.kind = 99; }); } });

	fn(Case { .name = "badge of an object", .reason = "section 'objects'",
	          .alter = [] (Altered_image &image) {
		image.alter<Object>(3, [] (Object &o) { o.badge++; }); } });

	fn(Case { .name = "session", .reason = "section 'sessions'",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Session>(1, [] (Image::Session &s) { s.id = 0; }); } });

	fn(Case { .name = "service that is not virtualized", .reason = "session: Rtc",
	          .alter = [] (Altered_image &image) {
		image.alter_one<Image::Session>([] (Image::Session &s) {
			if (Genode::strcmp(s.service, "LOG")) return false;
			return put_text(s.service, "Rtc"); }); } });

	fn(Case { .name = "service that ends an attribute of the report",
	          .reason = "session: Rt?c?reason: fine", .alter = [] (Altered_image &image) {
		image.alter_one<Image::Session>([] (Image::Session &s) {
			if (Genode::strcmp(s.service, "LOG")) return false;
			return put_text(s.service, "Rt|c\nreason: fine"); }); } });

	fn(Case { .name = "PD session of a child only", .reason = "children: PD",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Session>(0, [] (Image::Session &s) { s.id = 0; }); } });

	fn(Case { .name = "label that donates more quota", .reason = "session: ROM",
	          .alter = [] (Altered_image &image) {
		image.alter_one<Image::Session>([] (Image::Session &s) {
			if (Genode::strcmp(s.service, "ROM")) return false;
			return put_text(s.args, "label=\"x\\\", ram_quota=4M, a=\\\" -> ld.lib.so\""); }); } });

	fn(Case { .name = "ROM module that is missing", .reason = "session: ROM",
	          .alter = [] (Altered_image &image) {
		image.alter_one<Image::Session>([] (Image::Session &s) {
			if (Genode::strcmp(s.service, "ROM")) return false;
			return put_text(s.args, "label=\"missing\"") && put_text(s.label, "missing"); }); } });

	fn(Case { .name = "other build of a ROM module", .reason = "ROM module differs",
	          .alter = [] (Altered_image &image) {
		image.alter<Rom>(1, [] (Rom &r) { r.hash.bytes[7]++; }); } });

	fn(Case { .name = "part", .reason = "unknown part",
	          .alter = [] (Altered_image &image) {
		image.alter<Part>(0, [] (Part &p) { p.part = 99; }); } });

	fn(Case { .name = "handler", .reason = "section 'handlers'",
	          .alter = [] (Altered_image &image) {
		image.alter<Handler>(0, [] (Handler &h) { h.context = 9999; }); } });

	fn(Case { .name = "kind of a dataspace", .reason = "unknown kind",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Dataspace>(0, [] (Image::Dataspace &d) { d.kind = 99; }); } });

	fn(Case { .name = "size of the stack area", .reason = "memory: dataspace",
	          .alter = [] (Altered_image &image) {
		image.alter_one<Image::Dataspace>([] (Image::Dataspace &d) {
			if (d.kind != Image::Dataspace::STACK_AREA) return false;
			d.size += PAGE_SIZE;
			return true; }); } });

	fn(Case { .name = "rights of a region", .reason = "unknown rights",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Region>(0, [] (Image::Region &r) { r.rights = 99; }); } });

	fn(Case { .name = "region at a place that is taken", .reason = "memory: region",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Region>(0, [] (Image::Region &r) { r.at = 0; r.size = PAGE_SIZE; }); } });

	fn(Case { .name = "state of a thread", .reason = "unknown state of a thread",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Thread>(0, [] (Image::Thread &t) { t.state = 99; }); } });

	fn(Case { .name = "index of a thread that is taken", .reason = "section 'threads'",
	          .alter = [] (Altered_image &image) {
		uint32_t index = 0;
		image.alter<Image::Thread>(0, [&] (Image::Thread &t) { index = t.index; });
		image.alter<Image::Thread>(1, [&] (Image::Thread &t) { t.index = index; }); } });

	fn(Case { .name = "UTCB of a thread", .reason = "has another UTCB",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Thread>(1, [] (Image::Thread &t) { t.utcb += 0x100000; }); } });

	fn(Case { .name = "index behind a hole", .reason = "thread: ",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Thread>(image.num<Image::Thread>() - 1,
		                           [] (Image::Thread &t) { t.index += 2; }); } });

	fn(Case { .name = "thread of a gate", .reason = "section 'gates'",
	          .alter = [] (Altered_image &image) {
		image.alter<Gate>(0, [] (Gate &g) { g.thread = 9999; }); } });

	fn(Case { .name = "slot that is occupied", .reason = "record does not name this slot",
	          .alter = [] (Altered_image &image) {
		uint32_t slot = 0;
		image.alter<Gate>(0, [&] (Gate &g) { slot = g.slot; });
		image.alter<Gate>(1, [&] (Gate &g) { g.slot = slot; }); } });

	fn(Case { .name = "signal source", .reason = "section 'sources'",
	          .alter = [] (Altered_image &image) {
		image.alter<Source>(0, [] (Source &s) { s.thread = 9999; }); } });

	fn(Case { .name = "signal context", .reason = "imprint is zero",
	          .alter = [] (Altered_image &image) {
		image.alter<Context>(0, [] (Context &c) { c.imprint = 0; }); } });

	fn(Case { .name = "timer", .reason = "section 'timers'",
	          .alter = [] (Altered_image &image) {
		image.alter<Image::Timer>(0, [] (Image::Timer &t) { t.session = 0; }); } });

	fn(Case { .name = "page", .reason = "section 'pages'",
	          .alter = [] (Altered_image &image) {
		image.alter<Page>(0, [] (Page &p) { p.page = NONE; }); } });

	fn(Case { .name = "last number of all", .reason = "no further checkpoint",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.checkpoint = ~0ULL; }); } });

	fn(Case { .name = "donations of clients that are more than there is",
	          .reason = "quota exceeds what is available",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.ram_quota = 900*1024*1024; }); },
	          .provides = true });

	fn(Case { .name = "donations without bounds", .reason = "quota exceeds what is available",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.cap_quota = ~0ULL; }); },
	          .provides = true });

	fn(Case { .name = "newer one of two", .reason = "checksum of a section",
	          .alter = [] (Altered_image &image) {
		image.alter<System>(0, [] (System &s) { s.checkpoint++; }); },
	          .sealed = false, .older = true, .restored = true });

	for_each_map_case(fn);
	for_each_session_case(fn);

	fn(intact);
}

#endif /* _CASES_H_ */
