/*
 * \brief  What the configuration says about a child
 * \date   2026-11-30
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#ifndef _START_NODE_H_
#define _START_NODE_H_

/* local includes */
#include <image_store.h>

namespace Checkpoint {

	struct Defaults;
	struct Start_node;
}


/**
 * What the configuration says about all children
 */
struct Checkpoint::Defaults
{
	Ram_quota ram;
	Cap_quota caps;
	long      prio_levels;

	static Defaults from_config(Node const &config)
	{
		Defaults result { { 0 }, { 0 }, config.attribute_value("prio_levels", 0L) };

		config.with_optional_sub_node("default", [&] (Node const &node) {
			result.ram  = { node.attribute_value("ram", Number_of_bytes()) };
			result.caps = { node.attribute_value("caps", 0UL) }; });

		return result;
	}
};


struct Checkpoint::Start_node
{
	enum class Restore {
		NO,
		YES,  /* start anew if there is no usable image */
		ONLY  /* or do not start at all */
	};

	Name    name    { };
	Name    binary  { };
	Version version { };

	Ram_quota ram  { };
	Cap_quota caps { };
	long      priority = 0;  /* of the CPU session */

	/* of the paths of the two files */
	static constexpr size_t SUFFIX_LENGTH = 2;

	Place    place       { };
	bool     path_fits   { true };
	bool     side_valid  { true };
	Restore  restore     { Restore::NO };
	uint64_t interval_ms { 0 };      /* 0 for none */
	uint64_t timeout_ms  { 60000 };  /* how long a medium may take before it is reported */
	bool     stop        { false };  /* the child ends after a checkpoint */
	bool     at_stop     { false };  /* a checkpoint is made when the start node vanishes */
	size_t   copies      { 0 };      /* RAM in bytes that copies of the memory may take */
	size_t   copy_caps   { 0 };      /* and capabilities */

	/* behind a complete image, such that one more is possible, for a move */
	static constexpr unsigned MAX_INCREMENTS = Image::MAX_CHAIN_LENGTH - 2;

	unsigned increments { 8 };

	/* if the place is shared with another system */
	unsigned side    { 0 };      /* of both */
	bool     first   { false };  /* starts the child if no system had it before */
	uint64_t poll_ms { 50 };     /* how often records are read */
	uint64_t wait_ms { 10000 };  /* how long an offer stands */
	uint64_t ahead_ms { 5000 };  /* how long the other side has to begin ahead, 0 for not at all */

	static Name name_of(Node const &node) { return node.attribute_value("name", Name()); }

	/**
	 * Return priority for a CPU session, as init does
	 */
	static long priority_of(Node const &node, long levels)
	{
		long const level = -node.attribute_value("priority", 0L);

		if (level <= 0 || levels <= 1)
			return Cpu_session::DEFAULT_PRIORITY;

		return min(level, levels - 1)*(Cpu_session::PRIORITY_LIMIT/levels);
	}

	/**
	 * Return the one path among those that mean the same
	 */
	static Path canonical(Path const &path)
	{
		if (path.length() <= 1)
			return Path();

		Genode::Path<Path::capacity() + 2> result { path };
		result.remove_trailing('/');
		return result.string();
	}

	void _apply_checkpoint(Node const &node)
	{
		Path const path = node.attribute_value("image", Path());

		place.path   = canonical(path);
		path_fits    = path.length() + SUFFIX_LENGTH <= Path::capacity();
		place.offset = node.attribute_value("offset", Number_of_bytes());
		place.size   = node.attribute_value("size",   Number_of_bytes());

		using Text = String<8>;
		Text const value = node.attribute_value("restore", Text("no"));

		restore = value == "only"                                       ? Restore::ONLY
		        : node.attribute_value("restore", false) ? Restore::YES : Restore::NO;

		interval_ms = node.attribute_value("interval_ms", interval_ms);
		timeout_ms  = node.attribute_value("timeout_ms",  timeout_ms);
		stop        = node.attribute_value("then", Text()) == "stop";
		at_stop     = node.attribute_value("at_stop", at_stop);

		if (place.valid())
			copies = node.attribute_value("copies", Number_of_bytes(ram.value));

		copy_caps  = node.attribute_value("copy_caps", caps.value);

		increments = min(node.attribute_value("increments", increments), MAX_INCREMENTS);

		Text const side_name = node.attribute_value("side", Text());

		side_valid   = side_name == "" || side_name == "a" || side_name == "b";
		place.shared = side_name != "";
		side         = side_name == "b";
		first        = node.attribute_value("first",   first);
		poll_ms      = node.attribute_value("poll_ms", poll_ms);
		wait_ms      = node.attribute_value("wait_ms", wait_ms);
		ahead_ms     = node.attribute_value("ahead_ms", ahead_ms);
	}

	static Start_node from_node(Node const &node, Defaults const &defaults)
	{
		Start_node result { };

		result.name     = name_of(node);
		result.binary   = result.name;
		result.version  = node.attribute_value("version", Version());
		result.ram      = { node.attribute_value("ram", Number_of_bytes(defaults.ram.value)) };
		result.caps     = { node.attribute_value("caps", defaults.caps.value) };
		result.priority = priority_of(node, defaults.prio_levels);

		node.with_optional_sub_node("binary", [&] (Node const &binary) {
			result.binary = name_of(binary); });

		node.with_optional_sub_node("checkpoint", [&] (Node const &checkpoint) {
			result._apply_checkpoint(checkpoint); });

		return result;
	}

	/**
	 * Return what is wrong with the values, or nullptr
	 */
	char const *mistake() const
	{
		bool const aligned = place.offset % BLOCK_SIZE == 0
		                  && place.size % (Place::NUM_SLOTS*BLOCK_SIZE) == 0;

		if (!path_fits)
			return "path of the images is too long";

		if (place.range() && !aligned)
			return "offset or size of the place for images is no multiple of 4096 and 8192";

		if (!place.range() && place.offset)
			return "place for images has an offset, but no size";

		if (!side_valid)
			return "side is neither a nor b";

		if (place.shared && place.size <= Place::RECORDS_SIZE)
			return "place that is shared with another system needs an offset and a larger size";

		if (!place.valid() && (restore != Restore::NO || interval_ms || at_stop))
			return "there is no place for images";

		if (interval_ms && interval_ms < 10)
			return "interval is too short";

		return nullptr;
	}
};

#endif /* _START_NODE_H_ */
