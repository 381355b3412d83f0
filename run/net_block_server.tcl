#
# \brief  Server of blocks that makes each kind of mistake from time to time
# \date   2026-12-01
#
# usage: net_block_server.tcl SEED
#
# The first line of its output is the port. At each mistake, its name is printed. What it executes is right.
#

source [file join [file dirname [info script]] net_block.inc]

expr {srand([lindex $argv 0])}

set num_blocks 2048
set medium     [string repeat \0 [expr {512*$num_blocks}]]
set connection 0

proc chance { one_of } { return [expr {int(rand()*$one_of) == 0}] }

proc mistake { name } { puts $name; return $name }

proc accept { channel args } {
	global connection buffers numbers num_blocks

	fconfigure $channel -translation binary -blocking 0 -buffering none
	incr connection
	set buffers($channel) ""
	set numbers($channel) 0

	# the size of the device must be known before it can change
	set how none
	if {$connection > 1 && [chance 6]} {
		set how [mistake [lindex {wrong-size version garbage} [expr {int(rand()*3)}]]] }

	switch $how {
		wrong-size { puts -nonewline $channel [greeting $connection [expr {$num_blocks + 1}]] }
		version    { puts -nonewline $channel [greeting $connection $num_blocks 2] }
		garbage    { puts -nonewline $channel [string repeat "garbage" 100] }
		default    { puts -nonewline $channel [greeting $connection $num_blocks] }
	}
	fileevent $channel readable [list receive $channel $connection]
}

proc end { channel } { catch { close $channel } }

proc receive { channel connection } {
	global buffers

	if {[catch { read $channel } bytes] || [eof $channel]} {
		end $channel
		return
	}
	append buffers($channel) $bytes
	while {[execute $channel $connection]} { }
}

# returns true if there may be another request
proc execute { channel connection } {
	global buffers numbers medium

	if {[string length $buffers($channel)] < 48} { return 0 }

	binary scan $buffers($channel) a4iwwwii magic kind of number block count crc
	set size [expr {48 + ($kind == 2 ? 512*$count : 0)}]
	if {[string length $buffers($channel)] < $size} { return 0 }

	set header  [string range $buffers($channel) 0 47]
	set payload [string range $buffers($channel) 48 [expr {$size - 1}]]
	set buffers($channel) [string range $buffers($channel) $size end]

	if {$magic ne "CBRQ" || ![intact $header] || $of != $connection || $number != $numbers($channel)
	 || ($payload ne "" && ($crc & 0xffffffff) != [zlib crc32 $payload])} {
		puts "the client is wrong"
		end $channel
		return 0
	}
	incr numbers($channel)

	set how none
	if {[chance 12]} {
		set how [mistake [lindex {end-before end-after half-answer damage wrong-number wrong-connection wrong-status longer silence} \
		                         [expr {int(rand()*9)}]]] }

	if {$how eq "end-before"} { end $channel; return 0 }

	set first [expr {512*$block}]
	set last  [expr {$first + 512*$count - 1}]
	if {$kind == 2} { set medium [string replace $medium $first $last $payload] }

	set content [expr {$kind == 1 ? [string range $medium $first $last] : ""}]
	set right   [answer 0 $connection $number $content]

	switch $how {
		end-after        { end $channel; return 0 }
		silence          { return 0 }
		half-answer      { puts -nonewline $channel [string range $right 0 [expr {[string length $right]/2}]]
		                   end $channel; return 0 }
		damage           { puts -nonewline $channel [string replace $right end end [expr {[string index $right end] eq "x" ? "y" : "x"}]] }
		wrong-number     { puts -nonewline $channel [answer 0 $connection [expr {$number + 1}] $content] }
		wrong-connection { puts -nonewline $channel [answer 0 [expr {$connection - 1}] $number $content] }
		wrong-status     { puts -nonewline $channel [answer 7 $connection $number ""] }
		longer           { puts -nonewline $channel [answer 0 $connection $number "$content[string repeat x 512]"] }
		default          { puts -nonewline $channel $right }
	}
	return [expr {$how eq "none"}]
}

# lines may go to somebody who is gone
fconfigure stdout -buffering line
fileevent stdin readable { if {[gets stdin line] < 0} { exit 0 } }

set server [socket -server accept -myaddr 127.0.0.1 0]
puts [lindex [fconfigure $server -sockname] 2]

vwait forever
