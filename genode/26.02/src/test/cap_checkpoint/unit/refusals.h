/*
 * \brief  Components with children that must not be saved
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _REFUSALS_H_
#define _REFUSALS_H_

/* Genode includes */
#include <base/log.h>
#include <cap_checkpoint/attached.h>
#include <cap_checkpoint/image_reader.h>

/* local includes */
#include <image_memory.h>

namespace Test {

	using namespace Cap_checkpoint;

	class Refusals;
}


/**
 * Lets the monitor believe something wrong of the last child of a frozen component
 *
 * Each time, the component must not be saved, and the message must name the child. If it is the child that lies in
 * its table, it must not have in the image what it does not have. In the end, the component is as it was.
 */
class Test::Refusals : Noncopyable
{
	private:

		using Message = String<200>;

		Child         &_child;
		Image_memory  &_image;
		Virtual_pd    *_pd = nullptr;
		uint32_t       _member = 0;
		Session_label  _label { };

		bool _all = true;

		/*
		 * Noncopyable
		 */
		Refusals(Refusals const &);
		Refusals &operator = (Refusals const &);

		Message _message()
		{
			return _image.save(_child).convert<Message>(
				[&] (Ok)               { return Message("saved"); },
				[&] (Refused const &r) { return Message(r); });
		}

		/**
		 * Return true if the component is refused for a reason that is named behind the member
		 */
		bool _refused(char const *reason, char const *what)
		{
			Message const expected { reason, ": member '", _label, "', ", what },
			              message  { _message() };

			return !strcmp(message.string(), expected.string(), expected.length() - 1);
		}

		void _expect(bool as_expected, char const *what)
		{
			if (!as_expected)
				error("not refused: ", what);
			_all &= as_expected;
		}

		void _refuse_parent()
		{
			Native_capability const orig = _pd->parent;

			_pd->for_each_gate([&] (Cap_space_monitor::Gate const &gate) { _pd->parent = gate.cap; });
			_expect(_refused("children", "is its own parent"), "own parent");
			_pd->parent = orig;
		}

		void _with_first_word(Region const &r, auto const &fn)
		{
			(void)with_attached(_child.monitor().local_rm, r.ds->cap, Access::WRITE,
				[&] (char *start, size_t) { fn(*(addr_t *)start); });
		}

		/**
		 * Return memory of the child whose first word tells the parent, or other memory, or nullptr
		 */
		Region *_region(bool const parent)
		{
			addr_t const badge = addr_t(_pd->parent.local_name());

			Region *result = nullptr;

			/* a region map must not be visited, as by a checkpoint, while it is being visited */
			_pd->space.for_each_region([&] (Region &r) {
				if (r.ds && r.ds->kind == Cap_checkpoint::Dataspace::Kind::RAM)
					_with_first_word(r, [&] (addr_t const &word) {
						if ((word == badge) == parent)
							result = &r; }); });

			return result;
		}

		void _refuse_memory()
		{
			bool refused = false;

			if (Region * const region = _region(true))
				_with_first_word(*region, [&] (addr_t &word) {
					word += 4;
					refused = _refused("children", "its parent capability is not where the dynamic "
					                               "linker expects it");
					word -= 4; });

			_expect(refused, "altered parent capability");
		}

		void _refuse_region()
		{
			bool refused = false;

			if (Region * const region = _region(false)) {

				Cap_checkpoint::Dataspace * const orig = region->ds;

				region->ds = nullptr;
				refused = _refused("foreign memory", "map ");
				region->ds = orig;
			}
			_expect(refused, "memory of somebody else");
		}

		/**
		 * Forget signal contexts, of which one at least is known to the child only
		 */
		void _refuse_slot()
		{
			static constexpr unsigned MAX = 64;

			Context *contexts[MAX] { };
			unsigned count = 0;
			_pd->signals.for_each_context([&] (Context &context) {
				if (count < MAX)
					contexts[count++] = &context; });

			bool refused = false;
			for (unsigned i = 0; i < count; i++) {

				Signal_context_capability const orig = contexts[i]->cap;

				contexts[i]->cap = { };
				refused |= _refused("unexplained slot", "0x");
				contexts[i]->cap = orig;
			}

			_expect(refused, "capability without a meaning");
		}

		bool _rewrite(unsigned slot, unsigned from, unsigned to)
		{
			Cap_space_monitor::Rewrite rewrite { .slot     = slot, .expected = from, .replacement = to,
			                                     .left_out = 0,    .head     = 0,    .next        = 0 };
			unsigned failed = 0;

			return Cap_map::ok(_pd->cap_space.rewrite(&rewrite, 1, failed));
		}

		/**
		 * Let the table of the child say that a slot leads to the PD session of the component
		 */
		void _claim_slot()
		{
			unsigned const claimed = unsigned(_child.pd.cap().local_name());

			unsigned last = 0, badge = 0;

			if (Cap_map::ok(_pd->cap_space.take(_image._snapshot)))
				_image._snapshot.for_each([&] (unsigned slot, unsigned b) { last = slot; badge = b; });

			bool const saved = _rewrite(last, badge, claimed) && _image.save(_child).ok();

			Image::Reader const reader { _image.start(), saved ? _image.num_bytes : 0 };

			uint32_t kind = 0;
			if (reader.valid())
				reader.with_object(last, [&] (Image::Object const &object) { kind = object.kind; },
				                   _member);

			_expect(kind == Image::Object::DEAD && _rewrite(last, claimed, badge),
			        "capability that the child does not have");
		}

	public:

		Refusals(Child &child, Image_memory &image) : _child(child), _image(image)
		{
			_child.parent.for_each_session([&] (Open_session &session) {
				session.with_pd([&] (Pd_service_session &member) {
					_member++;
					_pd    = &member.pd;
					_label = session.request.label(); }); });

			_refuse_parent();
			_refuse_memory();
			_refuse_region();
			_refuse_slot();
			_claim_slot();
		}

		bool all() const { return _all; }
};

#endif /* _REFUSALS_H_ */
