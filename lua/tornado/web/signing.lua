-- Signed values, in Tornado's formats: no request here, only strings, secrets and a clock.
--
--   v1: base64(value)|time|hex(HMAC-SHA1(name .. base64(value) .. time))
--   v2: 2|L:key version|L:time|L:name|L:base64(value)|hex(HMAC-SHA256(all before))
--
-- v1 has no delimiters in what it signs, which v2's lengths (L) make good; it is read for
-- cookies that are still about, and never written unless asked for.
local core = require "tornado.core"
local log = require "tornado.log"
local util = require "tornado.util"

local find, format, match, sub = string.find, string.format, string.match, string.sub
local floor, tonumber, type = math.floor, tonumber, type

local signing = {}

signing.MIN_SUPPORTED_SIGNED_VALUE_VERSION = 1
signing.MAX_SUPPORTED_SIGNED_VALUE_VERSION = 2
signing.DEFAULT_SIGNED_VALUE_VERSION = 2
signing.DEFAULT_SIGNED_VALUE_MIN_VERSION = 1

local DAY = 86400
local FUTURE_DAYS = 31 -- v1: a time further ahead is one that was shifted
local MAX_DIGITS = 15 -- of a number that a double holds exactly

local function check_text(value, what, level)
    if type(value) ~= "string" then
        error(format("bad %s: expected string, got %s", what, type(value)), level + 1)
    end
end

local function check_secret(secret, level)
    if type(secret) == "table" then return end
    if type(secret) ~= "string" or secret == "" then
        error(format("bad secret: expected a string, or a table of strings by key version, got %s",
            secret == "" and "an empty string" or type(secret)), level + 1)
    end
end

-- Creating --------------------------------------------------------------------------

local function sign_v1(secret, name, coded, time)
    return core.hex(core.hmac("sha1", secret, name .. coded .. time))
end

local function sign_v2(secret, text)
    return core.hex(core.hmac("sha256", secret, text))
end

local function create_v2(secret, name, coded, time, key_version)
    local version = format("%d", key_version)
    local text = format("2|%d:%s|%d:%s|%d:%s|%d:%s|", #version, version, #time, time, #name, name,
        #coded, coded)
    return text .. sign_v2(secret, text)
end

-- The secret of that version in a table of them.
local function choose(secret, version, key_version, level)
    if type(secret) ~= "table" then return secret end
    if version < 2 then error("bad version: several secrets need version 2", level + 1) end
    if key_version == nil then
        error("bad key_version: expected one of the secrets' versions, got nil", level + 1)
    end
    local chosen = secret[key_version]
    if type(chosen) ~= "string" or chosen == "" then
        error("bad key_version: no secret has version " .. tostring(key_version), level + 1)
    end
    return chosen
end

local function wall_clock() -- looked up at each call: testing.clock() replaces it
    local seconds = core.now()
    return seconds
end

local CREATE = { version = 2, clock = wall_clock, key_version = util.NONE }

--- Signs a value for a name. `secret` is a string, or a table of them by key version. Options:
-- version (2; 1 is the old format), key_version (0; needed with a table), clock (a function, for
-- tests). Returns the text.
function signing.create_signed_value(secret, name, value, options)
    options = util.options(options, CREATE, "create_signed_value")
    check_secret(secret, 2)
    check_text(name, "name", 2)
    check_text(value, "value", 2)
    local version, key_version = options.version, options.key_version
    if version ~= 1 and version ~= 2 then
        error("bad version: expected 1 or 2, got " .. tostring(version), 2)
    end
    if key_version ~= nil and
        (type(key_version) ~= "number" or key_version < 0 or key_version % 1 ~= 0) then
        error("bad key_version: expected a whole number, got " .. tostring(key_version), 2)
    end
    secret = choose(secret, version, key_version, 2)
    local time = format("%d", floor(options.clock()))
    local coded = core.base64_encode(value)
    if version == 1 then
        return coded .. "|" .. time .. "|" .. sign_v1(secret, name, coded, time)
    end
    return create_v2(secret, name, coded, time, key_version or 0)
end

-- Reading ---------------------------------------------------------------------------

--- The format's version that a value begins with. What has none is of version 1, and so is a
-- number above 999: that is base64 (of three bytes at least) which looks like one.
function signing.version_of(value)
    local digits = match(value, "^([1-9]%d*)|")
    if not digits or #digits > 3 then return 1 end
    return tonumber(digits)
end

-- A field "L:text|" at `at`: the text, and where the next one begins; nil when it is malformed.
local function take_field(value, at)
    local digits = match(value, "^(%d+):", at)
    if not digits or #digits > MAX_DIGITS then return nil end
    local first = at + #digits + 1
    local stop = first + tonumber(digits)
    if sub(value, stop, stop) ~= "|" then return nil end
    return sub(value, first, stop - 1), stop + 1
end

local function to_number(text)
    if #text > MAX_DIGITS or not find(text, "^%d+$") then return nil end
    return tonumber(text)
end

-- The fields of a v2 value, or nil: key version, time, name, base64; and where the signature is.
local function split_v2(value)
    local key_version, time, name, coded, at
    key_version, at = take_field(value, 3)
    if key_version then time, at = take_field(value, at) end
    if time then name, at = take_field(value, at) end
    if name then coded, at = take_field(value, at) end
    if not coded then return nil end
    key_version = to_number(key_version)
    if not key_version then return nil end
    return key_version, time, name, coded, at
end

-- The value stays out of the log, where it would be as good as in the cookie.
-- Tornado: logs the whole value.
local function complain(what, name)
    log.gen_log:warning("%s %s", what, util.shown(name))
    return nil
end

-- A table of secrets has no v1 values: whoever sends one made it up.
local function decode_v1(secret, name, value, max_age, now)
    if type(secret) ~= "string" then return nil end
    local coded, time, signature = match(value, "^([^|]*)|([^|]*)|([^|]*)$")
    if not coded then return nil end
    if not core.same(signature, sign_v1(secret, name, coded, time)) then
        return complain("Invalid cookie signature", name)
    end
    local at = to_number(time)
    if not at or find(time, "^0") then return complain("Tampered cookie", name) end
    if at < now - max_age then return complain("Expired cookie", name) end
    if at > now + FUTURE_DAYS * DAY then
        -- The signature has no delimiters, so that digits of the value may have come to the time.
        return complain("Cookie timestamp in future; possible tampering", name)
    end
    return core.base64_decode(coded)
end

local function decode_v2(secret, name, value, max_age, now)
    local key_version, time, signed_name, coded, at = split_v2(value)
    if not key_version then return nil end
    if type(secret) == "table" then secret = secret[key_version] end
    if type(secret) ~= "string" or secret == "" then return nil end
    if not core.same(sub(value, at), sign_v2(secret, sub(value, 1, at - 1))) then return nil end
    if signed_name ~= name then return nil end
    time = to_number(time)
    if not time or time < now - max_age then return nil end
    return core.base64_decode(coded)
end

local DECODE = { max_age_days = 31, clock = wall_clock, min_version = 1 }

--- The value that was signed for `name`; nil when anything about it is wrong. Options:
-- max_age_days (31), min_version (1; 2 refuses the old format), clock.
function signing.decode_signed_value(secret, name, value, options)
    options = util.options(options, DECODE, "decode_signed_value")
    check_secret(secret, 2)
    check_text(name, "name", 2)
    local min_version = options.min_version
    if type(min_version) ~= "number" or min_version > 2 then
        error("bad min_version: expected 1 or 2, got " .. tostring(min_version), 2)
    end
    if type(options.max_age_days) ~= "number" then
        error("bad max_age_days: expected number, got " .. type(options.max_age_days), 2)
    end
    if value == nil or value == "" then return nil end
    check_text(value, "value", 2)
    local version = signing.version_of(value)
    if version < min_version or version > 2 then return nil end
    local decode = version == 1 and decode_v1 or decode_v2
    return decode(secret, name, value, options.max_age_days * DAY, options.clock())
end

--- The key version that a value says it was signed with; nil for v1, and for what is malformed.
-- It is not checked: decode_signed_value() is what checks.
function signing.get_signature_key_version(value)
    check_text(value, "value", 2)
    if signing.version_of(value) < 2 then return nil end
    return (split_v2(value))
end

return signing
