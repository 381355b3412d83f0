/*
 * \brief  Test that each field of an image is checked
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "altered.h"

using namespace Cap_checkpoint::Image;


static void system_altered(auto const &fn, char const *why)
{
	altered<System>(why, 0, [&] (Sample &s) -> auto & { return fn(s.system); });
}


static void test_system()
{
	using S = System;

	system_altered([] (S &s) -> auto & { return s.architecture = 3;     }, "unknown architecture");
	system_altered([] (S &s) -> auto & { return s.page_size = 0x10000;  }, "unknown page size");
	system_altered([] (S &s) -> auto & { return s.kernel = 0;           }, "unknown kernel");
	system_altered([] (S &s) -> auto & { s.release[30] = 1; return s.release; }, "text is malformed");
	system_altered([] (S &s) -> auto & { s.label[159] = 1;  return s.label;   }, "text is malformed");
	system_altered([] (S &s) -> auto & { return s.zero = 1;             }, "reserved field");
	system_altered([] (S &s) -> auto & { return s.main_thread = 4;      }, "no such thread");
	system_altered([] (S &s) -> auto & { return s.main_thread = NONE;   }, "no such thread");
	system_altered([] (S &s) -> auto & { return s.parent_dataspace = 6; }, "no such dataspace");
	system_altered([] (S &s) -> auto & { return s.parent_dataspace = 2; }, "dataspace is not RAM");
	system_altered([] (S &s) -> auto & { return s.parent_dataspace = 0; },
	               "dataspace is the component's to free");
	system_altered([] (S &s) -> auto & { return s.parent_offset = 0xfe8; }, "does not fit in the dataspace");
	system_altered([] (S &s) -> auto & { return s.parent_offset = ~0ULL; }, "does not fit in the dataspace");

	/* the slot itself leads to the parent, so the object is refused first */
	altered<Object>("record does not name this slot", 0, [] (Sample &s) -> auto & {
		s.system.parent_slot = Sample::OWN_GATE;
		return s.all<Object>()[0].number; });

	altered<S>("slot does not lead to this", 0, [] (Sample &s) -> auto & {
		s.all<Object>()[0].kind = Object::DEAD;
		return s.system.parent_slot; });
}


static void test_objects()
{
	using O = Object;

	altered(0, &O::slot, 64U, "no such slot");
	altered(3, &O::slot, 3U, "is out of order");
	altered(3, &O::slot, 2U, "is out of order");
	altered(3, &O::slot, 9U, "a slot with a badge is missing in front of it");
	altered(2, &O::slot, 4U, "a slot with a badge is missing in front of it");
	altered(5, &O::badge, 8U, "badge is not the one of the slot");
	altered(5, &O::kind, 0U, "unknown kind of object");
	altered(5, &O::kind, 14U, "unknown kind of object");
	altered(23, &O::kind, uint32_t(O::GATE), "detached slot does not lead to a dead object");
	altered(22, &O::kind, uint32_t(O::PSEUDO), "not the slot of a pseudo badge");
	altered(0,  &O::kind, uint32_t(O::PSEUDO), "not the slot of a pseudo badge");
	altered(0,  &O::number, 1U, "no such record");
	altered(1,  &O::number, 1U, "no such record");
	altered(22, &O::number, 1U, "no such record");
	altered(4,  &O::number, 5U, "no such record");
	altered(4,  &O::number, 2U, "record does not name this slot");
	altered(8,  &O::number, 4U, "no such record");
	altered(12, &O::number, 6U, "no such record");
	altered(15, &O::number, 4U, "no such record");
	altered(16, &O::number, 0U, "record does not name this slot");
	altered(2,  &O::number, 0U, "record does not name this slot");
	altered(17, &O::number, 3U, "no such record");
	altered(18, &O::number, 0U, "record does not name this slot");
	altered(19, &O::number, 1U, "no such record");
	altered(20, &O::number, 1U, "no such record");
	altered<O>("record does not name this slot", 20, [] (Sample &s) -> auto & {
		s.all<O>()[20].kind = O::SOURCE; return s.all<O>()[20].number; });
	altered(21, &O::number, 2U, "no such record");
	altered(6,  &O::member, 1U, "no such member");
	altered(6,  &O::previous, 1U, "reserved field");

	altered<O>("slot carries no badge", 23, [] (Sample &s) -> auto & {
		s.table.words[64 + Sample::DETACHED] = 0;
		return s.all<O>()[23].slot; });

	Sample missing { };
	missing.all<O>().pop_back();
	Bytes const image = missing.image();
	refused(image, place(image, OBJECTS) + 23*sizeof(O),
	        "section \"objects\": slots with badges are missing");
}


static void test_sessions()
{
	using S = Session;

	altered(1, &S::id, uint64_t(1), "is out of order");
	altered<Object>("record does not name this slot", 4, [] (Sample &s) -> auto & {
		s.all<S>()[1].slot = 1; return s.all<Object>()[4].number; });
	altered(1, &S::zero, 1U, "reserved field");
	altered<S>("text is malformed", 2, [] (Sample &s) -> auto & {
		s.all<S>()[2].service[5] = 'x'; return s.all<S>()[2].service; });
	altered<S>("is a second PD session", 2, [] (Sample &s) -> auto & {
		put_text(s.all<S>()[2].service, "PD"); return s.all<S>()[2].service; });
	altered<S>("text is malformed", 2, [] (Sample &s) -> auto & {
		s.all<S>()[2].label[159] = 'x'; return s.all<S>()[2].label; });
	altered<S>("text is malformed", 2, [] (Sample &s) -> auto & {
		s.all<S>()[2].args[100] = 'x'; return s.all<S>()[2].args; });

	Sample none { };
	put_text(none.all<S>()[0].service, "PDX");
	Bytes const image = none.image();
	refused(image, place(image, SESSIONS), "section \"sessions\": there is no PD session");

	using P = Part;

	altered(3, &P::session, 5U, "no such session");
	altered(3, &P::session, 0U, "is out of order");
	altered<P>("is out of order", 1, [] (Sample &s) -> auto & {
		s.all<P>()[1].part = 0; return s.all<P>()[1].session; });
	altered(2, &P::part, 4U, "unknown part of the session");
	altered(3, &P::part, 1U, "unknown part of the session");
	altered(2, &P::zero, 1U, "reserved field");

	using H = Handler;

	altered(0, &H::session, 5U, "no such session");
	altered(1, &H::session, 3U, "is out of order");
	altered(0, &H::part, 1U, "unknown part of the session");
	altered(1, &H::part, 4U, "unknown part of the session");
	altered(1, &H::context, 2U, "no such signal context");
	altered(1, &H::zero, 1U, "reserved field");

	for (uint32_t const session : { 0U, 1U, 3U })
		altered<H>("unknown part of the session", 0, [&] (Sample &s) -> auto & {
			s.all<H>()[0].session = session;
			return s.all<H>()[0].part = session ? 1 : 3; });

	using T = Timer;

	altered(0, &T::session, 3U, "is not a Timer session");
	altered(0, &T::session, NONE, "is not a Timer session");
	altered(0, &T::zero, 1U, "reserved field");
	altered(0, &T::elapsed,  1ULL << 62, "is too large");
	altered(0, &T::deadline, 1ULL << 62, "is too large");
	altered(0, &T::period,   1ULL << 62, "is too large");
	altered<T>("period without a deadline", 0, [] (Sample &s) -> auto & {
		s.all<T>()[0].deadline = 0; return s.all<T>()[0].period; });
	altered<T>("is out of order", 1, [] (Sample &s) -> auto & {
		s.all<T>().push_back(s.all<T>()[0]); return s.all<T>()[1].session; });
}


static void test_memory()
{
	using D = Dataspace;

	altered(0, &D::kind, 0U, "unknown kind of dataspace");
	altered(0, &D::kind, 9U, "unknown kind of dataspace");
	altered(4, &D::kind, uint32_t(D::STACK_AREA), "is a second one of its kind");
	altered(0, &D::cache, 3U, "unknown cache attribute");
	altered(0, &D::size, uint64_t(0), "is not a number of pages");
	altered(0, &D::size, uint64_t(0x3001), "is not a number of pages");
	altered(1, &D::size, uint64_t(0xff000), "exceeds the RAM quota");
	altered(1, &D::size, ~0xfffULL, "exceeds the RAM quota");
	altered(2, &D::size, uint64_t(0x6000), "is not the size of the ROM module");
	altered(2, &D::owner, 1U, "is not the next ROM module");
	altered(5, &D::owner, 5U, "no such session");
	altered(0, &D::owner, 1U, "reserved field");
	altered(0, &D::part, 1U, "reserved field");
	altered(3, &D::slot, 5U, "slot does not lead to this");
	altered(1, &D::member, 1U, "no such member");
	altered<D>("is out of order", 6, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::SESSION, 0, 0x1000, 2, 0, NONE, 0 });
		return s.all<D>()[6].owner; });
	altered<D>("is not the size of the table", 6, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::CAP_SPACE, 0, 0x1000, 0, 0, NONE, 0 });
		return s.all<D>()[6].size; });
	altered<D>("is not one page", 6, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::TRACE, 0, 0x2000, 0, 0, NONE, 0 });
		return s.all<D>()[6].size; });
	altered<D>("is not the next ROM module", 6, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::ROM, 0, 0x1000, 1, 0, NONE, 0 });
		return s.all<D>()[6].owner; });

	/* memory that the monitor shares with nobody, and buffers */
	altered<D>("memory is not the component's", 5, [] (Sample &s) -> auto & {
		s.all<D>()[5].part = 1; return s.all<D>()[5].slot; });
	altered<D>("memory is not the component's", 5, [] (Sample &s) -> auto & {
		put_text(s.all<Session>()[2].service, "Nic");
		s.all<D>()[5].part = 2; return s.all<D>()[5].slot; });
	altered<Region>("memory is not the component's", 5, [] (Sample &s) -> auto & {
		s.all<D>().push_back({ D::SESSION, 0, 0x1000, 2, 1, NONE, 0 });
		return s.all<Region>()[5].dataspace = 6; });

	Sample buffers { };
	put_text(buffers.all<Session>()[2].service, "Nic");
	buffers.all<D>()[5].part           = 1;
	buffers.all<Region>()[5].dataspace = 5;
	Bytes const of_buffers = buffers.image();
	if (!Reader(of_buffers.data(), of_buffers.size()).valid())
		refused(of_buffers, 0, "nothing");

	using M = Rom;

	altered<M>("ROM module without a dataspace", 1, [] (Sample &s) -> auto & {
		s.all<M>().push_back(s.all<M>()[0]); return s.all<M>()[1].name; });
	altered<M>("text is malformed", 0, [] (Sample &s) -> auto & {
		s.all<M>()[0].name[158] = 'x'; return s.all<M>()[0].name; });
	altered(0, &M::session, 5U, "no such session");
	altered(0, &M::session, 2U, "is not a ROM session");
	altered(0, &M::zero, 1U, "reserved field");
	altered<M>("is out of order", 1, [] (Sample &s) -> auto & {
		s.all<M>().push_back(s.all<M>()[0]);
		s.all<D>().push_back({ D::ROM, 0, 0x5000, 1, 0, NONE, 0 });
		return s.all<M>()[1].session; });

	using R = Region;

	altered(5, &R::map, 3U, "no such region map");
	altered(5, &R::map, 0U, "is out of order");
	altered(0, &R::dataspace, 6U, "no such dataspace");
	altered(4, &R::dataspace, 3U, "region map within a region map");
	altered(0, &R::at, uint64_t(0x10001), "is not a number of pages");
	altered(1, &R::at, uint64_t(0x11000), "is not behind the one before");
	altered(1, &R::at, uint64_t(0xf000), "is not behind the one before");
	altered(0, &R::size, uint64_t(0), "is not a number of pages");
	altered(0, &R::size, uint64_t(0x800), "is not a number of pages");
	altered<R>("does not fit in the region map", 4, [] (Sample &s) -> auto & {
		s.all<R>()[4].at = 0xff000; return s.all<R>()[4].size; });
	altered<R>("does not fit in the region map", 3, [] (Sample &s) -> auto & {
		s.all<R>()[3].at = 1ULL << 47; return s.all<R>()[3].size; });
	altered<R>("does not fit in the region map", 3, [] (Sample &s) -> auto & {
		s.all<R>()[3].at = ~0xfffULL; return s.all<R>()[3].size; });
	altered<R>("does not fit in the region map", 3, [] (Sample &s) -> auto & {
		s.system.architecture = System::ARM_V7;
		s.all<R>()[3].at = 0xfff01000; return s.all<R>()[3].size; });
	altered(0, &R::offset, uint64_t(0x10), "is not a number of pages");
	altered(0, &R::offset, uint64_t(0x4000), "does not fit in the dataspace");
	altered(0, &R::offset, ~0xfffULL, "does not fit in the dataspace");
	altered(0, &R::rights, 4U, "unknown rights");
	altered(0, &R::zero, 1U, "reserved field");

	altered(0, &Page::dataspace, 6U, "no such dataspace");
	altered(0, &Page::dataspace, 2U, "dataspace has no pages of its own");
	altered(3, &Page::dataspace, 0U, "is out of order");
	altered(1, &Page::page, 0U, "is out of order");
	altered(1, &Page::page, 3U, "does not fit in the dataspace");
}


static void test_threads()
{
	using T = Thread;

	altered(3, &T::index, 128U, "is too large");
	altered(3, &T::index, 2U, "is out of order");
	altered(0, &T::state, 1U, "unknown state of a thread");
	altered(0, &T::state, 7U, "unknown state of a thread");
	altered(0, &T::session, 0U, "is not a CPU session");
	altered(0, &T::session, 5U, "is not a CPU session");
	altered<T>("no such thread", 1, [] (Sample &s) -> auto & {
		s.all<T>()[0].serves = NONE; return s.all<T>()[1].called = 4; });
	altered(2, &T::called, 0U, "thread does not call");
	altered<T>("other thread does not call this one", 0, [] (Sample &s) -> auto & {
		s.all<T>()[1].called = 2; return s.all<T>()[0].serves; });
	altered(0, &T::serves, 4U, "no such thread");
	altered(0, &T::serves, 2U, "other thread does not call this one");
	altered(0, &T::handler, 2U, "no such signal context");
	altered(0, &T::slot, 5U, "slot does not lead to this");
	altered(0, &T::native_slot, uint32_t(Sample::THREAD), "slot does not lead to this");
	altered(0, &T::gate_slot, 63U, "slot does not lead to this");
	altered(0, &T::member, 1U, "no such member");
	altered(0, &T::utcb, 1ULL << 47, "is too large");
	altered(0, &T::ip, 1ULL << 47, "is too large");
	altered(0, &T::sp, 1ULL << 47, "is too large");
	altered(0, &T::ip, uint64_t(0), "does not fit the state of the thread");
	altered(3, &T::ip, uint64_t(8), "does not fit the state of the thread");
	altered<T>("text is malformed", 1, [] (Sample &s) -> auto & {
		s.all<T>()[1].name[31] = 'x'; return s.all<T>()[1].name; });

	/* the caller and the server each name somebody else */
	altered<T>("other thread does not serve this one", 1, [] (Sample &s) -> auto & {
		s.all<T>()[0].serves = NONE; return s.all<T>()[1].called; });
	altered<T>("thread is not started", 3, [] (Sample &s) -> auto & {
		s.all<T>()[0].serves = NONE;
		s.all<T>()[3].serves = 1;
		s.all<T>()[1].called = 3;
		return s.all<T>()[3].serves; });
	altered<T>("threads wait for each other", 0, [] (Sample &s) -> auto & {
		T &a = s.all<T>()[0], &b = s.all<T>()[1];
		a.state = T::CALL, a.called = 1, b.serves = 0;
		return a.called; });
	altered<T>("threads wait for each other", 2, [] (Sample &s) -> auto & {
		T &t = s.all<T>()[2];
		t.state = T::CALL, t.called = t.serves = 2;
		return t.called; });

	altered(0, &Gate::thread, 4U, "no such thread");
	altered(2, &Gate::slot, uint32_t(Sample::GATE_0), "slot does not lead to this");
	altered(0, &Source::thread, 4U, "no such thread");
	altered(0, &Source::member, 1U, "no such member");
	altered(0, &Context::source, 1U, "no such signal source");
	altered(1, &Context::slot, uint32_t(Sample::CONTEXT), "slot does not lead to this");
	altered(1, &Context::imprint, uint64_t(0), "imprint is zero");
	altered(1, &Context::zero, 1U, "reserved field");
}


static void test_maps()
{
	using S = Sample_with_maps;

	Bytes const image = S { }.image();
	if (!Reader(image.data(), image.size()).valid())
		refused(image, 0, "nothing");

	using D = Dataspace;

	altered<S>(6, &D::owner, 6U, "no such session");
	altered<S>(6, &D::owner, 4U, "is not an RM session");
	altered<S>(7, &D::slot,  5U, "slot does not lead to this");
	altered<S>(6, &D::size, uint64_t(0x8001), "is not a number of pages");

	altered<D, S>("is out of order", 7, [] (Sample &s) -> auto & {
		s.all<D>()[7].part = 0; return s.all<D>()[7].owner; });

	/* the size of the other dataspace does not matter */
	altered<Region, S>("does not fit in the region map", 9, [] (Sample &s) -> auto & {
		s.all<Region>()[9].at = 0x4000; return s.all<Region>()[9].size; });

	altered<S>(9, &Region::map, 5U, "no such region map");
	altered<S>(9, &Region::map, NONE, "no such region map");
	altered<S>(8, &Region::dataspace, 3U, "region map within a region map");
	altered<S>(8, &Region::offset, uint64_t(0x2000), "does not fit in the dataspace");

	altered<Page, S>("dataspace has no pages of its own", 4, [] (Sample &s) -> auto & {
		s.fill({ { 6, 0 } }); return s.all<Page>()[4].dataspace; });

	using F = Fault;

	altered<S>(0, &F::thread,  5U, "no such thread");
	altered<S>(0, &F::thread,  3U, "thread is not parked");
	altered<S>(0, &F::map,     5U, "no such region map");
	altered<S>(0, &F::address, uint64_t(0x4000), "is too large");

	/* a map may be larger than the address space */
	S large { };
	large.all<D>()[7].size    = 1ULL << 50;
	large.all<F>()[0].address = (1ULL << 50) - 1;
	Bytes const of_large = large.image();
	if (!Reader(of_large.data(), of_large.size()).valid())
		refused(of_large, 0, "nothing");

	altered<F, S>("is too large", 0, [] (Sample &s) -> auto & {
		s.all<F>()[0].map = Region::ADDRESS_SPACE;
		return s.all<F>()[0].address = 1ULL << 47; });
	altered<S>(0, &F::type,    0U, "unknown type of a fault");
	altered<S>(0, &F::type,    4U, "unknown type of a fault");
	altered<S>(0, &F::zero,    1U, "reserved field");

	altered<F, S>("is out of order", 1, [] (Sample &s) -> auto & {
		s.all<F>().push_back(s.all<F>()[0]); return s.all<F>()[1].thread; });
}


void Cap_checkpoint::Image::test_fields()
{
	test_system();
	test_objects();
	test_sessions();
	test_memory();
	test_threads();
	test_maps();
}
