/*
 * \brief  Mistakes with several components that a monitor must not make
 * \date   2026-12-01
 *
 * The components, or the next checkpoint, have to notice each of them.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _PLANTS_H_
#define _PLANTS_H_

/* Genode includes */
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/child.h>
#include <cap_checkpoint/image_reader.h>

/* test includes */
#include <cap_checkpoint_test/image_bytes.h>

namespace Test {

	using namespace Cap_checkpoint;

	struct Plants;
}


/**
 * Mistakes, each of which concerns components other than init
 */
struct Test::Plants
{
	using Thread = Image::Thread;

	static constexpr unsigned CALLS = 0, SIGNALS = 1, BADGES = 2, PARENTS = 3, NUM = 4, NONE = NUM;

	unsigned const _mistake;

	/* times that the mistake was made */
	unsigned made = 0;

	/**
	 * Constructor
	 *
	 * \param mistake  'NONE' if there is to be none
	 */
	Plants(unsigned mistake) : _mistake(mistake) { }

	char const *name() const
	{
		static char const * const names[NUM + 1] { "calls", "signals", "badges", "parents", "nothing" };
		return names[_mistake];
	}

	static bool _is_client(Virtual_pd const &pd)
	{
		return Session::Label(pd.name) == "unit -> client";
	}

	static void _with_member(Child &child, uint32_t member, auto const &fn)
	{
		uint32_t number = 0;
		child.for_each_pd([&] (Virtual_pd &pd) {
			if (number++ == member)
				fn(pd); });
	}

	/**
	 * Let signals of one component be lost that are pending
	 */
	void before_save(Child &child)
	{
		if (_mistake != SIGNALS)
			return;

		child.for_each_pd([&] (Virtual_pd &pd) {
			if (_is_client(pd))
				pd.signals.for_each_context([&] (Context &context) {
					made += context.pending;
					context.pending = 0; }); });
	}

	/**
	 * Forget that threads wait for replies of those of other components, which owe them
	 */
	void after_save(char *image)
	{
		if (_mistake != CALLS)
			return;

		Image_bytes bytes { image };

		for (size_t i = 0; i < bytes.num<Thread>(); i++) {
			Thread const thread = bytes.get<Thread>(i);

			if (thread.called == Cap_checkpoint::NONE
			 || bytes.get<Thread>(thread.called).member == thread.member)
				continue;

			bytes.alter<Thread>(i,             [] (Thread &t) { t.called = Cap_checkpoint::NONE; });
			bytes.alter<Thread>(thread.called, [] (Thread &t) { t.serves = Cap_checkpoint::NONE; });
			made++;
		}
		bytes.seal();
	}

	/**
	 * Let slots of one component have the badges that they had before
	 */
	void _restore_badges(Child &child, Image::Reader const &image)
	{
		using namespace Cap_space_monitor;

		uint32_t member = 0;

		child.for_each_pd([&] (Virtual_pd &pd) {

			uint32_t const number = member++;

			if (!_is_client(pd))
				return;

			image.for_each<Image::Object>([&] (size_t, Image::Object const &object) {

				Snapshot::Entry entry { };

				if (object.member != number
				 || !Cap_map::ok(pd.cap_space.entry(object.slot, entry))
				 || entry.badge == object.badge)
					return;

				Rewrite one { .slot = object.slot, .expected = entry.badge,
				              .replacement = object.badge, .left_out = 0, .head = 0, .next = 0 };
				unsigned slot = 0;
				made += Cap_map::ok(pd.cap_space.rewrite(&one, 1, slot)); }); });
	}

	/**
	 * Let the memory of all components other than init tell the parents that they had
	 */
	void _forget_parents(Child &child, Image::Reader const &image)
	{
		for (uint32_t number = 1; number < image.num_members(); number++) {

			Image::Member const member = image.member(number);

			if (member.parent == Cap_checkpoint::NONE
			 || member.parent_dataspace == Cap_checkpoint::NONE)
				continue;

			char raw[Image::System::PARENT_CAP_SIZE] { };

			image.for_each<Image::Page>([&] (size_t, Image::Page const &page) {
				if (page.dataspace == member.parent_dataspace
				 && page.page == member.parent_offset/Image::PAGE_SIZE)
					memcpy(raw, page.bytes + member.parent_offset % Image::PAGE_SIZE, sizeof(raw)); });

			_with_parent_ds(child, number, image, member.parent_dataspace, [&] (Dataspace_capability ds) {
				made += with_attached(child.monitor().local_rm, ds, Access::WRITE,
					[&] (char *start, size_t) {
						memcpy(start + member.parent_offset, raw,
						       sizeof(Untyped_capability::Raw)); }); });
		}
	}

	/**
	 * Call 'fn' with the dataspace that is where the image has it in the memory of a component
	 */
	static void _with_parent_ds(Child &child, uint32_t member, Image::Reader const &image,
	                            uint32_t dataspace, auto const &fn)
	{
		Dataspace_capability ds { };

		image.for_each<Image::Region>([&] (size_t, Image::Region const &region) {

			if (region.dataspace != dataspace)
				return;

			_with_member(child, region.map/Image::Region::NUM_MAPS, [&] (Virtual_pd &pd) {
				pd.for_each_map([&] (uint32_t number, Virtual_region_map &map) {
					if (number == region.map % Image::Region::NUM_MAPS)
						map.for_each_region([&] (Cap_checkpoint::Region &r) {
							if (r.range.start == region.at && r.ds)
								ds = r.ds->cap; }); }); }); });

		if (ds.valid())
			fn(ds);
		else
			error("the memory of component ", member, " is not found");
	}

	/**
	 * To be called when all but the threads are there
	 */
	void before_start(Child &child, Image::Reader const &image)
	{
		if (_mistake == BADGES)  _restore_badges(child, image);
		if (_mistake == PARENTS) _forget_parents(child, image);
	}
};

#endif /* _PLANTS_H_ */
