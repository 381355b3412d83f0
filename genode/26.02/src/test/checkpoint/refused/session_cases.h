/*
 * \brief  What is wrong with the image of sessions that have memory
 * \date   2026-12-01
 *
 * The component has sent a frame, and received one that it keeps. It has neither taken the acknowledgement of
 * the first one, nor given the other one back. It has a block device, too.
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _SESSION_CASES_H_
#define _SESSION_CASES_H_

/* local includes */
#include <map_cases.h>

namespace Test {

	/* part of the memory of a session */
	struct Session_memory
	{
		char const *service;
		uint32_t    part;
	};

	static constexpr Session_memory TX_BUFFER { "Nic", 0 }, RX_BUFFER { "Nic",   1 },
	                                STATE     { "Nic", 2 }, IN_FLIGHT { "Block", 1 };

	/* behind the MAC address in 'STATE', a byte for each frame that the component has received */
	static constexpr unsigned LENT = 8;

	static void for_each_session_case(auto const &fn);

	static inline uint32_t number_of_memory(Altered_image const &image, Session_memory const &memory)
	{
		uint32_t const session = number_of_session(image, memory.service);

		return uint32_t(image.find<Image::Dataspace>([&] (Image::Dataspace const &d) {
			return d.kind == Image::Dataspace::SESSION && d.owner == session
			    && d.part == memory.part; }));
	}

	static inline void alter_memory(Altered_image &image, Session_memory const &memory, auto const &fn)
	{
		image.alter<Image::Dataspace>(number_of_memory(image, memory), fn);
	}

	/**
	 * Alter the first page of the content
	 */
	static inline void alter_content(Altered_image &image, Session_memory const &memory, auto const &fn)
	{
		uint32_t const dataspace = number_of_memory(image, memory);

		image.alter<Image::Page>(image.find<Image::Page>([&] (Image::Page const &p) {
			return p.dataspace == dataspace; }), fn);
	}

	/**
	 * Set the positions of the first queue in a buffer
	 */
	static inline void alter_queue(Altered_image &image, Session_memory const &buffer, uint32_t head, uint32_t tail)
	{
		uint32_t const positions[] { head, tail };

		alter_content(image, buffer, [&] (Image::Page &p) {
			memcpy(p.bytes, positions, sizeof(positions)); });
	}

	/**
	 * Let the content of a memory be that of the end of the one in front of it, where there was nothing
	 */
	static inline void take_content(Altered_image &image, Session_memory const &memory)
	{
		uint32_t const buffer = number_of_memory(image, memory) - 1;

		alter_content(image, memory, [&] (Image::Page &p) { p.dataspace = buffer, p.page = 15; });
	}

	/**
	 * Return true if a thread of the component waits for a page, and a frame was received
	 */
	static inline bool has_fault_and_frame(Altered_image const &image)
	{
		uint32_t const state = number_of_memory(image, STATE);

		return image.num<Image::Fault>()
		    && image.find<Image::Page>([&] (Image::Page const &p) {
			return p.dataspace == state && p.bytes[LENT]; }) < image.num<Image::Page>();
	}
}


static void Test::for_each_session_case(auto const &fn)
{
	using namespace Image;

	auto refused = [&] (char const *name, char const *reason, void (*alter)(Altered_image &)) {
		fn(Case { .name = name, .reason = reason, .alter = alter }); };

	/* what the component may write itself is no reason to refuse the image, and must do no harm */
	auto harmless = [&] (char const *name, void (*alter)(Altered_image &)) {
		fn(Case { .name = name, .reason = nullptr, .alter = alter, .restored = true }); };

	refused("MAC address", "the server has something else", [] (Altered_image &image) {
		alter_content(image, STATE, [] (Page &p) { p.bytes[5]++; }); });

	refused("no MAC address", "the server has something else", [] (Altered_image &image) {
		take_content(image, STATE); });

	refused("no received frames", "part 2 of session", [] (Altered_image &image) {
		alter_memory(image, STATE, [] (Image::Dataspace &d) {
			d.kind = Image::Dataspace::RAM, d.owner = 0, d.part = 0; }); });

	refused("size of a buffer for frames", "memory: dataspace", [] (Altered_image &image) {
		alter_memory(image, RX_BUFFER, [] (Image::Dataspace &d) { d.size += PAGE_SIZE; }); });

	refused("part of a network session", "memory: dataspace", [] (Altered_image &image) {
		alter_memory(image, STATE, [] (Image::Dataspace &d) { d.part = 7; }); });

	refused("buffers that the arguments do not tell", "memory: dataspace", [] (Altered_image &image) {
		image.alter<Image::Session>(number_of_session(image, "Nic"), [] (Image::Session &s) {
			(void)put_text(s.args, "label=\"\", tx_buf_size=131072, rx_buf_size=65536"); }); });

	refused("capability of the monitor's memory", "memory is not the component's", [] (Altered_image &image) {
		alter_memory(image, STATE, [] (Image::Dataspace &d) { d.slot = 100; }); });

	refused("region of the monitor's memory", "memory is not the component's", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [&] (Image::Region &r) {
			r.dataspace = number_of_memory(image, STATE), r.offset = 0; }); });

	refused("channel of frames that there is not", "capability: slot", [] (Altered_image &image) {
		alter_last_of<Part>(image, "Nic", [] (Part &p) { p.part = 99; }); });

	refused("handler of frames that there is not", "handler 99 of session", [] (Altered_image &image) {
		alter_last_of<Handler>(image, "Nic", [] (Handler &h) { h.part = 99; }); });

	harmless("queue of sent frames without an end", [] (Altered_image &image) {
		alter_queue(image, TX_BUFFER, 1025, 0); });

	harmless("queue of received frames without a place", [] (Altered_image &image) {
		alter_queue(image, RX_BUFFER, ~0U, 1025); });

	harmless("more received frames than there can be", [] (Altered_image &image) {
		alter_content(image, STATE, [] (Page &p) {
			for (unsigned i = 0; i < 1024; i++)
				p.bytes[LENT + i] = 7; }); });

	refused("block device of another size", "the server has something else", [] (Altered_image &image) {
		alter_content(image, IN_FLIGHT, [] (Page &p) { p.bytes[16]++; }); });

	refused("no block device", "the server has something else", [] (Altered_image &image) {
		take_content(image, IN_FLIGHT); });

	refused("no packets in flight", "part 1 of session", [] (Altered_image &image) {
		alter_memory(image, IN_FLIGHT, [] (Image::Dataspace &d) {
			d.kind = Image::Dataspace::RAM, d.owner = 0, d.part = 0; }); });

	refused("region of the packets in flight", "memory is not the component's", [] (Altered_image &image) {
		alter_region(image, INNER_MAP, 1, [&] (Image::Region &r) {
			r.dataspace = number_of_memory(image, IN_FLIGHT), r.offset = 0; }); });

	harmless("more packets in flight than there can be", [] (Altered_image &image) {
		alter_content(image, IN_FLIGHT, [] (Page &p) {
			for (unsigned i = 0; i < 4; i++)
				p.bytes[i] = 0xff; }); });
}

#endif /* _SESSION_CASES_H_ */
