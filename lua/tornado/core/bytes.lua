-- The part of tornado.core that is pure functions on strings: checks, escapes, digests,
-- forms, regular expressions. It has C from core.lua, which loads it.
local abi = require "tornado.abi"
local buffer = require "string.buffer"
local ffi = require "ffi"
local new_table = require "table.new"

local C, vm = abi.C, abi.state
local sub, to_string = string.sub, ffi.string

local bytes = {}

local function from_view(s)
    local text = to_string(s.p, s.n)
    return text
end

local scratch = buffer.new()

--- True for an RFC 9110 token.
function bytes.is_token(s)
    return C.ct_abi_is_token(s, #s) ~= 0
end

--- True for what may stand as a field's value.
function bytes.is_field_value(s)
    return C.ct_abi_is_field_value(s, #s) ~= 0
end

function bytes.is_utf8(s)
    return C.ct_abi_is_utf8(s, #s) ~= 0
end

--- Percent-decodes; `plus`: '+' is a space.
function bytes.url_decode(s, plus)
    local n = #s
    if n == 0 then return s end
    local out = scratch:reset():reserve(n)
    local text = to_string(out, C.ct_abi_url_decode(s, n, plus and 1 or 0, out))
    return text
end

--- Percent-encodes; `plus`: space to '+' and '/' to %2F, else '/' stays.
function bytes.url_encode(s, plus)
    local n = #s
    if n == 0 then return s end
    local out = scratch:reset():reserve(n * 3)
    local text = to_string(out, C.ct_abi_url_encode(s, n, plus and 1 or 0, out))
    return text
end

--- Writes & < > " ' as entities.
function bytes.html_escape(s)
    local n = #s
    if n == 0 then return s end
    local out = scratch:reset():reserve(n * 6)
    local text = to_string(out, C.ct_abi_html_escape(s, n, out))
    return text
end

local digest = ffi.new("char[64]")

--- SHA-1 as 40 hex digits.
function bytes.sha1_hex(s)
    C.ct_abi_sha1_hex(s, #s, digest)
    local hex = to_string(digest, 40)
    return hex
end

local HASHES = {
    sha1 = tonumber(C.CT_HASH_SHA1),
    sha256 = tonumber(C.CT_HASH_SHA256),
    sha512 = tonumber(C.CT_HASH_SHA512),
}

local function hash_number(name)
    local number = HASHES[name]
    if not number then
        error(("bad hash: expected sha1, sha256 or sha512, got %s"):format(tostring(name)), 3)
    end
    return number
end

--- The digest of `s`, raw; `hash` is "sha1", "sha256" or "sha512".
function bytes.digest(hash, s)
    local n = C.ct_abi_digest(hash_number(hash), s, #s, digest)
    local raw = to_string(digest, n)
    return raw
end

local Digest = {}
Digest.__index = Digest

--- A digest of what comes in pieces; `hash` as for digest(). Somebody must end it with
-- digest(), hexdigest() or close(). Raises when there are too many at a time.
function bytes.new_digest(hash)
    local handle = C.ct_abi_digest_new(vm, hash_number(hash))
    if handle == 0 then error("too many digests", 2) end
    return setmetatable({ handle = handle }, Digest)
end

function Digest:update(s)
    if C.ct_abi_digest_update(vm, self.handle, s, #s) ~= C.CT_OK then
        error("the digest has ended", 2)
    end
end

--- Ends it; returns the digest, raw.
function Digest:digest()
    local n = C.ct_abi_digest_final(vm, self.handle, digest)
    if n == 0 then error("the digest has ended", 2) end
    local raw = to_string(digest, n)
    return raw
end

--- Ends it; returns the digest as hex digits.
function Digest:hexdigest()
    return bytes.hex(self:digest())
end

--- Ends it without a result; fine when it has ended.
function Digest:close()
    C.ct_abi_digest_final(vm, self.handle, nil)
end

--- The HMAC of `s` with a key, raw; `hash` as for digest().
function bytes.hmac(hash, key, s)
    local n = C.ct_abi_hmac(hash_number(hash), key, #key, s, #s, digest)
    local raw = to_string(digest, n)
    return raw
end

--- Whether two strings are the same, in a time that depends on their lengths alone.
function bytes.same(a, b)
    return C.ct_abi_same(a, #a, b, #b) ~= 0
end

--- Base64 with padding.
function bytes.base64_encode(s)
    local n = #s
    local out = scratch:reset():reserve(math.floor((n + 2) / 3) * 4 + 1)
    local text = to_string(out, C.ct_abi_base64(s, n, out))
    return text
end

--- The bytes that base64 stands for; nil for what is none, white space and missing padding
-- included.
function bytes.base64_decode(s)
    local out = scratch:reset():reserve(#s + 1)
    local n = C.ct_abi_unbase64(s, #s, out)
    if n < 0 then return nil end
    local text = to_string(out, n)
    return text
end

--- Lower-case hex digits.
function bytes.hex(s)
    local n = #s
    local out = scratch:reset():reserve(n * 2 + 1)
    C.ct_abi_hex(s, n, out)
    local text = to_string(out, n * 2)
    return text
end

--- The bytes that hex digits of either case stand for, or nil.
function bytes.unhex(s)
    local out = scratch:reset():reserve(#s + 1)
    local n = C.ct_abi_unhex(s, #s, out)
    if n < 0 then return nil end
    local text = to_string(out, n)
    return text
end

--- `n` random bytes from the kernel.
function bytes.random(n)
    local out = scratch:reset():reserve(n)
    C.ct_abi_random(out, n)
    return to_string(out, n)
end

--- "Sun, 06 Nov 1994 08:49:37 GMT" of seconds since 1970.
function bytes.http_date(seconds)
    C.ct_abi_http_date(seconds, digest)
    return to_string(digest, 29)
end

--- True for a text that may have a number (in JSON's form) of more than 1e99.
function bytes.has_large_number(s)
    return C.ct_abi_has_large_number(s, #s) ~= 0
end

--- True for printable ASCII without spaces at its ends.
function bytes.is_clean(s)
    return C.ct_abi_is_clean(s, #s) ~= 0
end

--- What a cookie's text has: 0 nothing that needs quotes, 1 something that does, 2 also ";" or
-- DEL, 3 also spaces or control characters.
function bytes.cookie_class(s)
    local class = C.ct_abi_cookie_class(s, #s)
    return class
end

--- The last value of `name` in "a=b&c", decoded; nil when there is none, nil and "limit" when
-- there are more than `max` pairs.
function bytes.form_last(s, name, max)
    local out = scratch:reset():reserve(#s + 1)
    local n = C.ct_abi_form_last(s, #s, name, #name, max, out)
    if n < 0 then return nil, n == -2 and "limit" or nil end
    local text = to_string(out, n)
    return text
end

local form_size = 64
local form_out = ffi.new("ct_pair[?]", form_size)
local form_ascii = ffi.new("int[1]")

-- Fills form_out and form_ascii; returns how many pairs, or -1 beyond `max`.
local function split_form(s, max)
    if max > form_size then
        form_size = max
        form_out = ffi.new("ct_pair[?]", max)
    end
    local count = C.ct_abi_form(s, #s, scratch:reset():reserve(#s + 1), form_out, max,
        form_ascii)
    return count
end

--- Splits "a=b&c" into { name1, value1, ... } decoded; nil, "limit" beyond `max`.
function bytes.form_pairs(s, max)
    local count = split_form(s, max)
    if count < 0 then return nil, "limit" end
    local out = new_table(count * 2, 0)
    for i = 0, count - 1 do
        out[i * 2 + 1] = from_view(form_out[i].name)
        out[i * 2 + 2] = from_view(form_out[i].value)
    end
    return out
end

--- Splits "a=b&c" into a map from names to lists of values, into `lists` if that is given; nil,
-- "limit" beyond `max` pairs.
function bytes.form_lists(s, max, lists)
    local count = split_form(s, max)
    if count < 0 then return nil, "limit" end
    lists = lists or new_table(0, count)
    for i = 0, count - 1 do
        local pair = form_out[i]
        local name = to_string(pair.name.p, pair.name.n)
        local value = to_string(pair.value.p, pair.value.n)
        local values = lists[name]
        if values then values[#values + 1] = value else lists[name] = { value } end
    end
    return lists
end

--- Splits "a=b&c" into a map from names to their last values; nil, "limit" beyond `max` pairs.
-- Returns also whether all of it is ASCII.
function bytes.form_map(s, max)
    local count = split_form(s, max)
    if count < 0 then return nil, "limit" end
    local map = new_table(0, count)
    for i = 0, count - 1 do
        local pair = form_out[i]
        map[to_string(pair.name.p, pair.name.n)] = to_string(pair.value.p, pair.value.n)
    end
    return map, form_ascii[0] ~= 0
end

-- Regular expressions -------------------------------------------------------------

local MAX_GROUPS = 64
local offsets = ffi.new("int32_t[?]", (MAX_GROUPS + 1) * 2)
local Regex = {}
Regex.__index = Regex

local function group(subject, i)
    local from, to = offsets[i * 2], offsets[i * 2 + 1]
    if from < 0 then return nil end
    local text = sub(subject, from + 1, to)
    return text
end

--- Matches at the start of `subject`: nil, or its captures (nil: took no part).
function Regex:match(subject)
    local n = C.ct_abi_regex_match(vm, self.handle, subject, #subject, offsets, MAX_GROUPS + 1)
    if n <= 0 then return nil end
    -- The usual numbers of groups need no loop, which would end a trace.
    if n == 1 then return {} end
    if n == 2 then return { (group(subject, 1)) } end
    if n == 3 then return { (group(subject, 1)), (group(subject, 2)) } end
    local out = {}
    for i = 1, n - 1 do out[i] = group(subject, i) end
    return out
end

--- A compiled PCRE2 pattern, or nil and why not.
function bytes.regex(pattern)
    local handle = C.ct_abi_regex(vm, pattern, #pattern)
    if handle == 0 then return nil, to_string(C.ct_abi_why(vm)) end
    local self = { handle = handle, groups = C.ct_abi_regex_groups(vm, handle), names = {} }
    if self.groups > MAX_GROUPS then return nil, "more than 64 groups" end
    for i = 1, self.groups do
        local name = C.ct_abi_regex_name(vm, handle, i)
        if name ~= nil then self.names[i] = to_string(name) end
    end
    return setmetatable(self, Regex)
end

return bytes
