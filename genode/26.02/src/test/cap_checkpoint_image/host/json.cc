/*
 * \brief  Contents of an image as JSON, to be compared with those of other readers
 * \date   2026-11-29
 */

/*
 * This file is distributed under the terms of the GNU Affero General Public
 * License version 3.
 */

#include "check.h"

using namespace Cap_checkpoint::Image;


namespace {

	struct Json
	{
		std::string text { };

		void _name(char const *name)
		{
			if (text.back() != '{')
				text += ',';
			text += std::string("\"") + name + "\":";
		}

		void field(char const *name, uint64_t value)
		{
			_name(name);
			text += std::to_string(value);
		}

		/* the texts of the sample need no escaping but for quotes */
		template <size_t N>
		void field(char const *name, char const (&value)[N])
		{
			_name(name);
			text += '"';
			for (char const *c = value; *c; c++)
				text += (*c == '"') ? std::string("\\\"") : std::string(1, *c);
			text += '"';
		}

		template <size_t N>
		void field(char const *name, uint32_t const (&values)[N])
		{
			_name(name);
			for (size_t i = 0; i < N; i++)
				text += (i ? "," : "[") + std::to_string(values[i]);
			text += ']';
		}

		/* readers of JSON often know numbers of 53 bits only */
		void address(char const *name, uint64_t value)
		{
			_name(name);
			char buf[24];
			snprintf(buf, sizeof(buf), "\"0x%llx\"", (unsigned long long)value);
			text += buf;
		}

		void field(char const *name, Cap_checkpoint::Sha256::Digest const &digest)
		{
			_name(name);
			text += '"';
			for (uint8_t byte : digest.bytes) {
				char two[3];
				snprintf(two, sizeof(two), "%02x", byte);
				text += two;
			}
			text += '"';
		}
	};
}


static void put(Json &j, System const &r)
{
	j.field("version", r.version);
	j.field("architecture", r.architecture);
	j.field("page_size", r.page_size);
	j.field("kernel", r.kernel);
	j.field("release", r.release);
	j.field("ram_quota", r.ram_quota);
	j.field("cap_quota", r.cap_quota);
	j.field("checkpoint", r.checkpoint);
	j.field("main_thread", r.main_thread);
	j.field("parent_slot", r.parent_slot);
	j.field("parent_dataspace", r.parent_dataspace);
	j.field("parent_offset", r.parent_offset);
	j.field("label", r.label);
}


static void put(Json &j, Member const &r)
{
	j.field("session", r.session);
	j.field("account", r.account);
	j.field("parent", r.parent);
	j.field("parent_dataspace", r.parent_dataspace);
	j.field("parent_offset", r.parent_offset);
	j.field("table_size", r.table_size);
	j.field("ram_quota", r.ram_quota);
	j.field("cap_quota", r.cap_quota);
	j.field("num_gates", r.num_gates);
}


static void put(Json &j, Object const &r)
{
	j.field("slot", r.slot);
	j.field("badge", r.badge);
	j.field("kind", r.kind);
	j.field("number", r.number);
	j.field("member", r.member);
	j.field("previous", r.previous);
}


static void put(Json &j, Session const &r)
{
	j.field("id", r.id);
	j.field("slot", r.slot);
	j.field("ram_quota", r.ram_quota);
	j.field("cap_quota", r.cap_quota);
	j.field("affinity", r.affinity);
	j.field("service", r.service);
	j.field("label", r.label);
	j.field("args", r.args);
}


static void put(Json &j, Part const &r)
{
	j.field("session", r.session);
	j.field("part", r.part);
	j.field("slot", r.slot);
}


static void put(Json &j, Handler const &r)
{
	j.field("session", r.session);
	j.field("part", r.part);
	j.field("context", r.context);
}


static void put(Json &j, Dataspace const &r)
{
	j.field("kind", r.kind);
	j.field("cache", r.cache);
	j.field("size", r.size);
	j.field("owner", r.owner);
	j.field("part", r.part);
	j.field("slot", r.slot);
	j.field("member", r.member);
}


static void put(Json &j, Rom const &r)
{
	j.field("name", r.name);
	j.field("size", r.size);
	j.field("session", r.session);
	j.field("sha256", r.hash);
}


static void put(Json &j, Region const &r)
{
	j.field("map", r.map);
	j.field("dataspace", r.dataspace);
	j.address("at", r.at);
	j.field("size", r.size);
	j.field("offset", r.offset);
	j.field("rights", r.rights);
}


static void put(Json &j, Thread const &r)
{
	j.field("index", r.index);
	j.field("state", r.state);
	j.field("session", r.session);
	j.field("called", r.called);
	j.field("serves", r.serves);
	j.field("handler", r.handler);
	j.field("slot", r.slot);
	j.field("native_slot", r.native_slot);
	j.field("gate_slot", r.gate_slot);
	j.field("member", r.member);
	j.address("utcb", r.utcb);
	j.address("ip", r.ip);
	j.address("sp", r.sp);
	j.field("affinity", r.affinity);
	j.field("name", r.name);
}


static void put(Json &j, Fault const &r)
{
	j.field("thread", r.thread);
	j.field("map", r.map);
	j.address("address", r.address);
	j.field("type", r.type);
}


static void put(Json &j, Gate const &r)
{
	j.field("thread", r.thread);
	j.field("slot", r.slot);
}


static void put(Json &j, Source const &r)
{
	j.field("thread", r.thread);
	j.field("slot", r.slot);
	j.field("semaphore_slot", r.semaphore_slot);
	j.field("member", r.member);
}


static void put(Json &j, Context const &r)
{
	j.field("source", r.source);
	j.field("slot", r.slot);
	j.address("imprint", r.imprint);
	j.field("pending", r.pending);
}


static void put(Json &j, Timer const &r)
{
	j.field("session", r.session);
	j.field("elapsed", r.elapsed);
	j.field("deadline", r.deadline);
	j.field("period", r.period);
}


static void put(Json &j, Page const &r)
{
	j.field("dataspace", r.dataspace);
	j.field("page", r.page);
}


std::string Cap_checkpoint::Image::json(Bytes const &image)
{
	Reader const reader { image.data(), image.size() };

	if (!reader.valid())
		return { };

	Json j { "{" };

	auto section = [&] <typename RECORD> (RECORD const *)
	{
		j._name(SECTION_NAMES[RECORD::SECTION]);
		j.text += '[';
		reader.for_each<RECORD>([&] (size_t i, RECORD const &record) {
			j.text += i ? ",{" : "{";
			put(j, record);
			j.text += '}';
		});
		j.text += ']';
	};

	section((System    *)nullptr);
	if (is_unit(reader.contents()))
		section((Member *)nullptr);
	section((Object    *)nullptr);
	section((Session   *)nullptr);
	section((Part      *)nullptr);
	section((Handler   *)nullptr);
	section((Dataspace *)nullptr);
	section((Rom       *)nullptr);
	section((Region    *)nullptr);
	section((Thread    *)nullptr);
	section((Fault     *)nullptr);
	section((Gate      *)nullptr);
	section((Source    *)nullptr);
	section((Context   *)nullptr);
	section((Timer     *)nullptr);
	section((Page      *)nullptr);

	j._name("page_sums");
	j.text += '[';
	reader.for_each_page([&] (uint32_t, uint32_t, char const *bytes) {
		if (j.text.back() != '[')
			j.text += ',';
		j.text += std::to_string(Crc32::of(bytes, PAGE_SIZE)); });

	return j.text + "]}";
}
