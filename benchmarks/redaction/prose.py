"""Plain text in many languages, and code: nothing is to be found in any of it."""

# ruff: noqa: E501, RUF001 - texts stay whole, and as people write them
from __future__ import annotations

PROSE = (
    "The first token arrives after 120 milliseconds; the rest follow at about 40 per second. We ran "
    "the test 3 times on 8 GPUs, from 10:30 to 12:45 on 24 November 2026, and kept the median.",
    "Das erste Token kommt nach 120 Millisekunden, danach etwa 40 je Sekunde. Wir haben am 24.11.2026 "
    "dreimal gemessen; der Größenunterschied lag bei 3,5 %. Straße, Öl, Übung, Fußgängerübergänge.",
    "Le premier jeton arrive après 120 ms : c’est l’essentiel. Ça coûte 12 345,67 € par an, n’est-ce "
    "pas ? « Œuvre », naïve, Noël, où, déjà-vu.",
    "El primer token llega tras 120 ms. ¿Cuánto cuesta? ¡1.234,56 € al año! Niño, pingüino, acción.",
    "Il primo token arriva dopo 120 ms; perché no? È già così, però costa 1.234,56 € all’anno.",
    "O primeiro token chega após 120 ms. São Paulo, coração, avó, três opções, R$ 1.234,56 por mês.",
    "Het eerste token komt na 120 ms. Coördinatie, één, zeeën, ’s ochtends om 10.30 uur.",
    "Første token kommer etter 120 ms. Blåbærsyltetøy, Ærø, Århus, kr 1 234,56. Första: åäö.",
    "Ensimmäinen merkki saapuu 120 ms:n kuluttua. Yö, äiti, Åbo, 1 234,56 euroa.",
    "Pierwszy token pojawia się po 120 ms. Zażółć gęślą jaźń, 1 234,56 zł, 24 listopada 2026 r.",
    "První token přijde za 120 ms. Příliš žluťoučký kůň úpěl ďábelské ódy. Az első token 120 ms után: "
    "árvíztűrő tükörfúrógép. Primul token după 120 ms: țară, șapte, înțelept.",
    "Первый токен приходит через 120 мс — это главное. Производительность растёт на 3,5 % в год; "
    "телеграфный, отель, картель. Перший токен: її, ґанок, єдність.",
    "Το πρώτο διακριτικό φτάνει σε 120 ms. Ταχίστη αλώπηξ βαφής ψημένη γη, 24/11/2026, 1.234,56 €.",
    "الرمز الأول يصل بعد ١٢٠ مللي ثانية، ثم نحو ٤٠ في الثانية. التاريخ ٢٤/١١/٢٠٢٦ والساعة ١٠:٣٠.",
    "האסימון הראשון מגיע אחרי 120 מילישניות. בשנת 2026 נמדדו 1,234 בקשות, שלוש פעמים.",
    "اولین توکن پس از ۱۲۰ میلی‌ثانیه می‌رسد؛ می‌خواهیم دربارهٔ مدل‌های زبانی صحبت کنیم.",
    "पहला टोकन १२० मिलीसेकंड के बाद आता है। कीमत ₹१,२३,४५६ है। क्षत्रिय, ज्ञान, श्री।",
    "প্রথম টোকেন ১২০ মিলিসেকেন্ড পরে আসে। முதல் டோக்கன் 120 மில்லி விநாடிகளில். మొదటి టోకెన్ 120.",
    "โทเค็นแรกมาถึงหลังจาก ๑๒๐ มิลลิวินาที ราคา ๑,๒๓๔ บาท ภาษาไทยไม่มีช่องว่างระหว่างคำ",
    "Token đầu tiên đến sau 120 mili giây. Nguyễn, đường, phở, 1.234,56 ₫ mỗi tháng.",
    "İlk belirteç 120 ms sonra gelir. Iğdır, çığ, şöför, güneş; yılda 1.234,56 ₺.",
    "首个词元在一百二十毫秒后到达，随后每秒约40个。2026年11月24日，我们测试了3次，价格为￥1,234.56元。",
    "最初のトークンは120ミリ秒後に届きます。２０２６年１１月２４日、午前１０時３０分。ｶﾀｶﾅ、ひらがな、漢字。",
    "첫 번째 토큰은 120밀리초 후에 도착합니다. 2026년 11월 24일 오전 10시 30분, 가격은 1,234원입니다.",
    "პირველი ტოკენი 120 მილიწამში. Առաջին նշանը 120 մվ հետո. የመጀመሪያው ምልክት ከ120 ሚሊሰከንድ በኋላ።",
    "Token ya kwanza hufika baada ya milisekunde 120. Tókéènì àkọ́kọ́ dé lẹ́yìn 120. Ithokheni yokuqala.",
    "🙂👍🏽 👩‍👩‍👧‍👦 🇩🇪 1️⃣2️⃣3️⃣ ✓ → ∞ ≠ ½ ² ₃ 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 a\u0301 \u202eback\u202c \ufeff",
    "def total(prices: list[float], rate: float = 0.19) -> float:\n    return sum(prices) * (1 + rate)\n",
    "SELECT id, name FROM users WHERE created_at > '2026-11-24 10:30:00' LIMIT 100 OFFSET 200;",
    "for (let i = 0; i < 1024; i++) { buffer[i] = (i * 2654435761) >>> 0; } // hash\n#define MAX 0xFFFF",
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: nginx:1.27.3@sha256:"
    + "ab12" * 16
    + "\n",
    '{"id": 12345, "created": 1764000000, "usage": {"prompt_tokens": 128, "total_tokens": 4096}}',
    "diff --git a/x.py b/x.py\nindex 83db48f..bf2a1c9 100644\n@@ -12,7 +12,9 @@ def f():\n+    return 1\n",
    "10.1.2024 Sitzung 4, Raum 2.017, Seite 12-15, Artikel 3 Absatz 2, § 263 StGB, BGBl. I S. 1234",
    "y = 3x^2 + 2x - 1; ∫₀¹ f(x) dx = 0.333333333; P(A|B) = 0.05; 1e-9 < ε < 1e-6; 2^31-1 = 2147483647",
    "| step | loss | lr |\n|---|---|---|\n| 1000 | 2.3456 | 3e-4 |\n| 2000 | 2.1234 | 2.9e-4 |\n",
)
