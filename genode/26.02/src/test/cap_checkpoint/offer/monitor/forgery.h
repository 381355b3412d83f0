/*
 * \brief  What an image of a component with clients must not say
 * \date   2026-12-01
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _FORGERY_H_
#define _FORGERY_H_

/* Genode includes */
#include <cap_checkpoint/requests_session.h>

/* local includes */
#include <altered_image.h>

namespace Test { struct Forgery; }


struct Test::Forgery
{
	using State  = Cap_checkpoint::Offer_state;
	using System = Image::System;

	char const *reason;  /* why the image is refused */

	void (*alter)(Altered_image &);

	/**
	 * Alter the part of the state that is in its first page, which has a few sessions
	 */
	static void state(Altered_image &image, auto const &fn)
	{
		using Dataspace = Image::Dataspace;

		uint32_t number = 0;
		image.alter_one<Dataspace>([&] (Dataspace &ds) {
			bool const found = ds.kind == Dataspace::SESSION
			                && ds.part == Cap_checkpoint::Requests_service_session::STATE;
			number += !found;
			return found; });

		image.alter_one<Image::Page>([&] (Image::Page &page) {
			if (page.dataspace != number || page.page)
				return false;
			State state { };
			memcpy(&state, page.bytes, sizeof(page.bytes));
			fn(state);
			memcpy(page.bytes, &state, sizeof(page.bytes));
			return true; });
	}

	static void for_each(auto const &fn)
	{
		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) { s.next_id = ~0UL; }); } });

		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) {
				s.sessions[0].stage = State::Session::OPEN;
				s.sessions[0].id    = s.next_id; }); } });

		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) {
				s.sessions[0].stage = s.sessions[1].stage = State::Session::OPEN;
				s.sessions[0].id    = s.sessions[1].id    = 0; }); } });

		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) {
				s.sessions[0].stage = State::Session::OPEN;
				s.sessions[0].ram   = ~0UL; }); } });

		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) {
				s.stamp++;
				s.sessions[0] = { };
				s.sessions[0].ram = 4*1024*1024; });
			image.alter<System>(0, [] (System &s) { s.ram_quota += 4*1024*1024; }); } });

		fn(Forgery { "state of clients", [] (Altered_image &image) {
			state(image, [] (State &s) { s.sessions[0].stage = State::Session::OVER + 1; }); } });

		fn(Forgery { "more quota than clients have donated", [] (Altered_image &image) {
			image.alter<System>(0, [] (System &s) { s.ram_quota += 4*1024*1024; }); } });

		fn(Forgery { "more quota than clients have donated", [] (Altered_image &image) {
			image.alter<System>(0, [] (System &s) { s.cap_quota = ~0UL; }); } });

		fn(Forgery { "quota of clients exceeds what the monitor has", [] (Altered_image &image) {
			state(image, [] (State &s) {
				s.stamp++;
				s.sessions[0].ram += 64*1024*1024; });
			image.alter<System>(0, [] (System &s) { s.ram_quota += 64*1024*1024; }); } });
	}
};

#endif /* _FORGERY_H_ */
